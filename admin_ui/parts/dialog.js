// Modal dialogs made of the browser's <dialog>, which keeps the focus inside and closes on Escape.

import { byKey, h, uniqueId } from "./dom.js";
import { action, report } from "./feedback.js";

// Opens a dialog.  *build* receives a function that closes it, and returns its content.
export function dialog(title, build, { closed } = {}) {
  const id = uniqueId("dialog");
  const back = document.activeElement;
  const element = h("dialog", { "aria-labelledby": id });
  const close = () => element.close();
  element.append(
    h("header", null, h("h2", { id }, title), h("button", { type: "button", class: "quiet close", "aria-label": "Close", click: close }, "✕")),
    h("div", { class: "content" }, build(close)),
  );
  element.addEventListener("close", () => {
    element.remove();
    const place = back?.isConnected ? back : back?.dataset?.key && byKey(document, back.dataset.key); // its list may have been redrawn
    place?.focus?.({ preventScroll: true });
    closed?.();
  });
  document.body.append(element);
  element.showModal();
  element.querySelector("[autofocus], .content input, .content select, .content textarea")?.focus();
  return element;
}

// Ask for confirmation of something that cannot be undone.  The harmless button has the focus.
export function confirm({ title, text, yes, danger = true, work }) {
  dialog(title, (close) => [
    h("p", null, text),
    h(
      "div",
      { class: "actions end" },
      h("button", { type: "button", autofocus: true, click: close }, "Cancel"),
      action(
        yes,
        async () => {
          try {
            await work();
            close();
          } catch (error) {
            close();
            report(error);
          }
        },
        { class: danger ? "danger" : "primary" },
      ),
    ),
  ]);
}
