// Tabs as in the ARIA pattern: one tab stop, and arrow keys to move between them.

import { h, redraw, uniqueId } from "./dom.js";

// items: [{name, show() -> nodes}]
export function tabs(label, items) {
  const panelId = uniqueId("panel");
  const panel = h("div", { role: "tabpanel", id: panelId });
  const buttons = items.map(({ name }, at) =>
    h("button", { type: "button", role: "tab", id: `${panelId}-${at}`, "aria-controls": panelId, click: () => choose(at) }, name),
  );

  function choose(at, focus = false) {
    buttons.forEach((button, index) => {
      button.setAttribute("aria-selected", String(index === at));
      button.tabIndex = index === at ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", buttons[at].id);
    redraw(panel, items[at].show());
    if (focus) buttons[at].focus();
  }

  function move(event) {
    const at = buttons.indexOf(document.activeElement);
    const last = buttons.length - 1;
    const places = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last };
    const next = places[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    choose(next, true);
  }

  choose(0);
  return h("div", { class: "tabs" }, h("div", { role: "tablist", "aria-label": label, keydown: move }, buttons), panel);
}
