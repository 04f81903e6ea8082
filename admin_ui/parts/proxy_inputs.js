// The inputs for one outbound proxy, and a button that tests it before it is saved.

import { api } from "../api.js";
import { h, redraw } from "./dom.js";
import { notice } from "./feedback.js";
import { field } from "./form.js";
import { milliseconds } from "./format.js";

export const PROXY = "/api/settings/proxy";
const TYPES = [["http", "HTTP"], ["https", "HTTPS"], ["socks5", "SOCKS5"]];
const NAMES = { "proxy.type": "type", "proxy.host": "host", "proxy.port": "port", "proxy.password": "password" };

// *none*: the label for having no proxy, if that can be chosen.  The form is made of *fields* and *parts*.  *test* is placed
// beside its button, and works after *belong* has been called with the form.
export function proxyInputs(proxy, none) {
  const more = [
    field({ name: "host", label: "Host", value: proxy?.host, placeholder: "proxy.example.com" }),
    field({ name: "port", label: "Port", kind: "number", min: 1, max: 65_535, value: proxy?.port }),
    field({ name: "username", label: "User name", optional: true, value: proxy?.username }),
    field({ name: "password", label: "Password", kind: "password", optional: true, autocomplete: "off", value: proxy?.password, hint: "Stored encrypted." }),
  ];
  const options = none ? [["", none], ...TYPES] : TYPES;
  const type = field({ name: "type", label: "Proxy", kind: "select", value: proxy?.type ?? options[0][0], options, onchange: () => draw() });
  const address = h("div", { class: "stack" }, more.map((one) => one.element));
  const result = h("div", { role: "status", class: "told" });
  const test = h("button", { type: "button", click: ({ currentTarget }) => built.guarded(currentTarget, tried) }, "Test it");
  let built;

  function draw() {
    address.hidden = test.hidden = !type.read();
    redraw(result);
  }

  async function tried(values) {
    redraw(result);
    redraw(result, await outcome(told(api.post(`${PROXY}/test`, { proxy: proxyOf(values) }))));
  }

  draw();
  const belong = (form) => (built = form);
  return { fields: [type, ...more], parts: [type.element, address, result], test, belong };
}

// The result of a test, in words.
export async function outcome(answer) {
  const { success, publicIp, error, latencyMs } = await answer;
  if (success) return notice("good", h("p", null, `It works (${milliseconds(latencyMs)}): providers see ${publicIp ?? "its address"}.`));
  return notice("bad", h("p", null, error));
}

// The body for the gateway.  A proxy needs at least an address; without a type there is no proxy.
export function proxyOf({ type, host, port, username, password }) {
  if (!type) return null;
  const missing = [!host && { field: "host", message: "Which host?" }, !port && { field: "port", message: "Which port?" }].filter(Boolean);
  if (missing.length) throw { fields: missing };
  return { type, host, port, ...(username && { username }), ...(password && { password }) };
}

// The gateway's message begins with the name of the field.
export async function told(answer) {
  try {
    return await answer;
  } catch (error) {
    const name = NAMES[error.message?.split(" ")[0]];
    if (name && !error.fields?.length) throw { fields: [{ field: name, message: error.message }] };
    throw error;
  }
}
