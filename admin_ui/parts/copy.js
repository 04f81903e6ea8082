// Text with a button that copies it.

import { h } from "./dom.js";
import { toast } from "./feedback.js";

export function copyButton(text, what = "Copy") {
  const button = h("button", { type: "button", class: "copy quiet", click: copy, "aria-label": what === "Copy" ? null : what }, "Copy");
  async function copy() {
    const value = typeof text === "function" ? text() : text;
    if (await toClipboard(value)) {
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1600);
    } else {
      toast("The browser did not allow copying. Select the text and copy it yourself.", "bad");
    }
  }
  return button;
}

// The clipboard API exists only on HTTPS and localhost, so not for a gateway on a home network.
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "offscreen", readonly: true, "aria-hidden": "true", value: text });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// *wrap*: for one long word that must be fully visible.
export const codeBlock = (text, label, wrap = false) =>
  h("div", { class: wrap ? "code wrap" : "code" }, h("pre", { tabindex: "0", "aria-label": label }, h("code", null, text)), copyButton(text, `Copy ${label}`));
