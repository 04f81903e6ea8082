// The login: one password, and the waiting time after too many wrong ones.

import { api } from "../api.js";
import { h, redraw } from "../parts/dom.js";
import { failure, notice } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { countdown } from "../parts/lamp.js";

export const title = "Log in";
const HOME = "/dashboard";

// Redirect only within this site: anyone can write a link with "next".
function next() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "";
  return /^\/dashboard(\/[a-z]*)?$/.test(wanted) ? wanted : HOME;
}

export async function show({ host }) {
  const place = h("div");
  redraw(
    host,
    h("div", { class: "brand" }, h("img", { src: "/admin_ui/icon.svg", alt: "", width: 40, height: 40 }), h("h1", null, "OmniRoute")),
    place,
  );
  try {
    const state = await api.get("/api/settings/require-login");
    const { authenticated } = await api.get("/api/auth/status");
    if (authenticated || !state.requireLogin) return location.replace(next());
    redraw(place, state.hasPassword ? passwordForm(() => location.replace(next())) : withoutPassword());
    place.querySelector("input")?.focus();
  } catch (error) {
    redraw(place, failure(error, () => show({ host })));
  }
}

const withoutPassword = () => [
  notice(
    "info",
    h("p", null, "This gateway has no password yet, so it can be managed only from the machine it runs on."),
    h("p", null, "Open it there and set a password, or start it with ", h("code", null, "INITIAL_PASSWORD"), "."),
  ),
  h("p", null, h("a", { href: HOME }, "I am on that machine")),
];

// *done*: called after the login.
export function passwordForm(done) {
  const password = field({ name: "password", label: "Password", kind: "password", autocomplete: "current-password", required: true });
  const locked = h("div");
  const { element, send } = form({ fields: [password], body: [password.element, locked], yes: "Log in", submit, login: true });

  async function submit(values) {
    if (!values.password) throw { fields: [{ field: "password", message: "Enter the password." }] };
    try {
      await api.post("/api/auth/login", values);
    } catch (error) {
      if (error.status === 429) return lock(error.retryAfter || 60);
      if (error.status !== 401) throw error;
      password.control.select();
      throw { fields: [{ field: "password", message: "Wrong password." }] };
    }
    done();
  }

  function lock(seconds) {
    send.disabled = true;
    const until = Date.now() + seconds * 1000;
    redraw(locked, notice("warn", h("p", { role: "alert" }, "Too many wrong passwords."), h("p", null, "You can try again in ", countdown(until), ".")));
    setTimeout(() => {
      send.disabled = false;
      redraw(locked);
      password.control.focus();
    }, seconds * 1000);
  }

  return element;
}
