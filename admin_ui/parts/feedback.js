// Feedback to the user: notices in place, and short messages that disappear.

import { line } from "../api.js";
import { h } from "./dom.js";

let host;

// The region must exist before the first message, or screen readers stay silent.
export function toastHost() {
  host = h("div", { class: "toasts", role: "status", "aria-live": "polite", popover: "manual" });
  queueMicrotask(lift);
  return host;
}

// Shown above a dialog opened in the meantime.  Browsers without popovers show it below.
function lift() {
  if (!host.showPopover) return;
  if (host.matches(":popover-open")) host.hidePopover();
  host.showPopover();
}

export function toast(text, kind = "ok") {
  const item = h("p", { class: `toast ${kind}` }, text);
  if (document.querySelector("dialog[open]")) lift();
  host.append(item);
  setTimeout(() => item.remove(), kind === "bad" ? 9000 : 4500);
}

export function report(error) {
  if (error.name === "AbortError") return;
  toast(error.message, "bad");
  if (error.status === 404) line.dispatchEvent(new Event("stale")); // deleted in another window
}

export const notice = (kind, ...children) => h("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null }, children);

// An empty list explains what it is for and what to do next.
export const empty = (title, text, ...actions) =>
  h("div", { class: "empty" }, h("h2", null, title), h("p", null, text), actions.length > 0 && h("div", { class: "actions" }, actions));

// If the gateway did not answer at all, the content is loaded automatically as soon as it does.
export function failure(error, retry) {
  const element = notice("bad", h("p", null, error.message), retry && h("button", { type: "button", click: retry }, "Try again"));
  if (retry && error.status === 0) line.addEventListener("up", () => element.isConnected && retry(), { once: true });
  return element;
}

// A button for a slow action: shown as busy while it runs, with errors reported.
export function action(label, work, props = {}) {
  const button = h("button", { type: "button", ...props, click: run }, label);
  async function run() {
    if (button.getAttribute("aria-busy")) return;
    const page = location.pathname;
    button.setAttribute("aria-busy", "true");
    try {
      await work(button);
    } catch (error) {
      report(error);
    } finally {
      button.removeAttribute("aria-busy");
      // The user has left the page, so a dialog opened this late is closed.
      if (location.pathname !== page) document.querySelectorAll("dialog[open]").forEach((element) => element.close());
    }
  }
  return button;
}
