// What the user is told: notices in place, and short messages that pass.

import { h } from "./dom.js";

let host;

// The region must exist before the first message, or screen readers stay silent.
export function toastHost() {
  host = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
  return host;
}

export function toast(text, kind = "ok") {
  const item = h("p", { class: `toast ${kind}` }, text);
  host.append(item);
  setTimeout(() => item.remove(), kind === "bad" ? 9000 : 4500);
}

export const report = (error) => error.name !== "AbortError" && toast(error.message, "bad");

export const notice = (kind, ...children) => h("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null }, children);

// An empty list says what it is for and what to do next.
export const empty = (title, text, ...actions) =>
  h("div", { class: "empty" }, h("h3", null, title), h("p", null, text), actions.length > 0 && h("div", { class: "actions" }, actions));

export const failure = (error, retry) =>
  notice("bad", h("p", null, error.message), retry && h("button", { type: "button", click: retry }, "Try again"));

// A button that does something slow: busy while it runs, errors told.
export function action(label, work, props = {}) {
  const button = h("button", { type: "button", ...props, click: run }, label);
  async function run() {
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    try {
      await work(button);
    } catch (error) {
      report(error);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }
  return button;
}
