// Elements from plain values.  Text always becomes a text node, so neither input nor responses are parsed as markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "htmlFor", "open", "indeterminate"]);

export const h = (tag, props, ...children) => build(document.createElement(tag), props, children);
export const svg = (tag, props, ...children) => build(document.createElementNS(SVG, tag), props, children);

function build(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export const byKey = (host, key) => host.querySelector(`[data-key="${CSS.escape(key)}"]`);

// Replace the content of *host*.  The focus moves to the new element with the same data-key, else to the heading.
export function redraw(host, ...children) {
  const focused = host.contains(document.activeElement) ? document.activeElement.closest("[data-key]") : null;
  const key = focused?.dataset.key;
  host.replaceChildren();
  append(host, children);
  if (key) (byKey(host, key) ?? document.querySelector("h1"))?.focus({ preventScroll: true });
  return host;
}

let count = 0;
export const uniqueId = (stem) => `${stem}-${++count}`;
