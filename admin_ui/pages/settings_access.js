// The password, and whether a login is required.

import { api, line } from "../api.js";
import { h } from "../parts/dom.js";
import { notice, report, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { section } from "../parts/table.js";

const SHORTEST = 4; // what the gateway accepts

export function passwordSection({ hasPassword, requireLogin }, reload) {
  const note = hasPassword
    ? "Anyone who knows it can manage this gateway. Changing it logs out everyone else."
    : "No password is set: anyone who uses this machine can change everything here, and other machines cannot log in.";
  return section(
    "Password",
    { note, id: "password" },
    passwordForm(hasPassword, reload),
    hasPassword && loginSwitch(requireLogin, reload),
  );
}

function passwordForm(hasPassword, reload) {
  const current = hasPassword && field({ name: "currentPassword", label: "Current password", kind: "password", autocomplete: "current-password" });
  const fresh = field({ name: "newPassword", label: "New password", kind: "password", autocomplete: "new-password", hint: "Several words in a row are strong and easy to remember." });
  const again = field({ name: "again", label: "New password again", kind: "password", autocomplete: "new-password" });
  return form({ fields: [current, fresh, again].filter(Boolean), yes: hasPassword ? "Change the password" : "Set the password", submit, login: true }).element;

  async function submit({ currentPassword, newPassword, again: repeated }) {
    const wrong = (name, message) => ({ fields: [{ field: name, message }] });
    if (newPassword.length < SHORTEST) throw wrong("newPassword", `At least ${SHORTEST} characters.`);
    if (newPassword !== repeated) throw wrong("again", "The two are not the same.");
    try {
      await api.put("/api/settings", { newPassword, ...(hasPassword ? { currentPassword } : {}) });
    } catch (error) {
      if (error.status === 400 && !error.fields.length) throw wrong("currentPassword", error.message);
      if (error.status === 401 && error.code !== "AUTH_001") throw wrong("currentPassword", "Wrong password.");
      throw error;
    }
    // Setting the first password requires a login from now on, so log in at once.
    if (!hasPassword) await api.post("/api/auth/login", { password: newPassword });
    line.dispatchEvent(new Event("login"));
    toast(hasPassword ? "The password is changed." : "The password is set.");
    await reload();
  }
}

function loginSwitch(requireLogin, reload) {
  const ask = field({ name: "requireLogin", label: "Ask for the password", kind: "check", value: requireLogin, onchange: change });
  const warning = !requireLogin && notice("warn", h("p", null, "Everyone who can reach this address can manage the gateway."));
  async function change() {
    try {
      await api.put("/api/settings/require-login", { requireLogin: ask.read() });
      toast(ask.read() ? "The password is required from now on." : "The password is no longer required.");
    } catch (error) {
      report(error);
    }
    await reload();
  }
  return h("div", { class: "switch" }, ask.element, warning);
}
