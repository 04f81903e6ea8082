// Forms: every control has a label and a hint, and every validation error is shown at its field.

import { h, redraw, uniqueId } from "./dom.js";

// A select, and a field to search, outside a form.
export const choice = (label, options, value, change) =>
  h("select", { "aria-label": label, change }, options.map(([key, words]) => h("option", { value: key, selected: key === value }, words)));

export const searchBox = (label, words, input) => h("input", { type: "search", id: uniqueId("search"), "aria-label": label, placeholder: words, input });

const EMPTY = { text: "", number: undefined, lines: [] };

// name = the API's field (dotted path); kind: text, long, password, url, number, lines, check, select
export function field({ name, label, kind = "text", value, hint, options, ...more }) {
  const id = uniqueId("field");
  const control = makeControl({ id, name, kind, value, options, hint, ...more });
  const problem = h("p", { class: "problem", id: `${id}-problem` });
  const note = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
  const words = h("label", { htmlFor: id }, label, more.optional && h("span", { class: "optional" }, "optional"));
  const parts = kind === "check" ? [h("div", { class: "check" }, control, words), note, problem] : [words, control, note, problem];
  const element = h("div", { class: "field", "data-field": name }, parts);

  const given = () => read(control, kind);
  let saved = JSON.stringify(given());
  return {
    name,
    element,
    control,
    read: given,
    isChanged: () => JSON.stringify(given()) !== saved,
    keep: (value) => (saved = JSON.stringify(value)), // what was saved; more may have been typed since
    complain(text) {
      problem.textContent = text ?? "";
      element.classList.toggle("wrong", Boolean(text));
      const folded = text && element.closest("details");
      if (folded) folded.open = true; // the error must be visible
      if (text) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    },
  };
}

function makeControl({ id, name, kind, value, options, hint, optional, onchange, ...more }) {
  const described = [hint && `${id}-hint`, `${id}-problem`].filter(Boolean).join(" ");
  const props = { id, name, "aria-describedby": described, change: onchange, ...more };
  if (kind === "select") {
    const choice = ([key, text]) => h("option", { value: key, selected: key === value }, text);
    const entry = (item) => (item.group ? h("optgroup", { label: item.group }, item.options.map(choice)) : choice(item));
    return h("select", props, options.map(entry));
  }
  if (kind === "lines") return h("textarea", { rows: 3, spellcheck: "false", ...props, value: (value ?? []).join("\n") });
  if (kind === "long") return h("textarea", { rows: 3, ...props, value: value ?? "" });
  if (kind === "check") return h("input", { type: "checkbox", ...props, checked: Boolean(value) });
  const quiet = { autocomplete: "off", spellcheck: "false", autocapitalize: "off" };
  return h("input", { type: kind, ...quiet, ...props, value: value ?? "" });
}

function read(control, kind) {
  if (kind === "check") return control.checked;
  if (kind === "password") return control.value; // spaces may be part of it
  const text = control.value.trim();
  if (kind === "lines") return text ? text.split("\n").map((row) => row.trim()).filter(Boolean) : EMPTY.lines;
  if (kind === "number") return text === "" ? EMPTY.number : Number(text);
  return text;
}

// Password managers store a password by user name.  There is only one account, so the name is constant.
const account = () => h("input", { type: "text", name: "username", autocomplete: "username", value: "admin", readonly: true, hidden: true, "aria-hidden": "true" });

// *fields*: results of field(), possibly in groups.  *submit* receives {name: value}, and the same of the changed fields only:
// those alone are sent where the gateway keeps the others, which may have been changed in another window.  It throws the
// gateway's error.
export function form({ fields, body, yes, submit, cancel, extra, login = false }) {
  const alert = h("div", { role: "alert", class: "notice bad", hidden: true });
  const send = h("button", { type: "submit", class: "primary" }, yes);
  const buttons = [cancel && h("button", { type: "button", click: cancel }, "Cancel"), send];
  const element = h(
    "form",
    { novalidate: true, submit: run },
    login && account(),
    body ?? fields.map((one) => one.element),
    alert,
    h("div", { class: "actions end" }, extra, buttons),
  );

  function clear() {
    alert.hidden = true;
    fields.forEach((one) => one.complain());
  }

  // Errors that belong to no visible field are shown above the buttons.
  function complain(error) {
    const rest = [];
    for (const { field: name, message } of error.fields ?? []) {
      const place = fields.find((one) => name === one.name || name.startsWith(one.name + "."));
      if (place) place.complain(message);
      else rest.push(message);
    }
    if (rest.length || !error.fields?.length) {
      redraw(alert, h("p", null, rest.join(" ") || error.message));
      alert.hidden = false;
    }
    fields.find((one) => one.control.getAttribute("aria-invalid"))?.control.focus();
  }

  const valuesOf = (some) => Object.fromEntries(some.map((one) => [one.name, one.read()]));

  async function guarded(button, work) {
    if (button.getAttribute("aria-busy")) return;
    clear();
    button.setAttribute("aria-busy", "true");
    try {
      await work(valuesOf(fields), valuesOf(fields.filter((one) => one.isChanged())));
    } catch (error) {
      if (error.name !== "AbortError") complain(error);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  function run(event) {
    event.preventDefault();
    guarded(send, async (values, changes) => {
      await submit(values, changes);
      fields.forEach((one) => one.keep(values[one.name]));
    });
  }

  return { element, guarded, send };
}
