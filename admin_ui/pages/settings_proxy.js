// The proxy that all providers are reached through, tried before it is saved.

import { api } from "../api.js";
import { h, redraw } from "../parts/dom.js";
import { notice, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { milliseconds, plural } from "../parts/format.js";

const BASE = "/api/settings/proxy";
const TYPES = [["", "None: straight to the providers"], ["http", "HTTP"], ["https", "HTTPS"], ["socks5", "SOCKS5"]];
const NAMES = { "proxy.type": "type", "proxy.host": "host", "proxy.port": "port" };

export function proxyForm({ global: proxy, providers, combos, keys }) {
  const more = [
    field({ name: "host", label: "Host", value: proxy?.host, placeholder: "proxy.example.com" }),
    field({ name: "port", label: "Port", kind: "number", min: 1, max: 65_535, value: proxy?.port }),
    field({ name: "username", label: "User name", optional: true, value: proxy?.username }),
    field({ name: "password", label: "Password", kind: "password", optional: true, autocomplete: "off", value: proxy?.password, hint: "Stored encrypted." }),
  ];
  const type = field({ name: "type", label: "Proxy", kind: "select", value: proxy?.type ?? "", options: TYPES, onchange: () => draw() });
  const others = Object.keys({ ...providers, ...combos, ...keys }).length;
  const address = h("div", { class: "stack" }, more.map((one) => one.element));
  const result = h("div", { role: "status", class: "told" });
  const test = h("button", { type: "button", click: ({ currentTarget }) => built.guarded(currentTarget, tried) }, "Test it");
  const built = form({ fields: [type, ...more], body: [type.element, address, result], yes: "Save the proxy", extra: test, submit: save });

  function draw() {
    address.hidden = test.hidden = !type.read();
    redraw(result);
  }

  async function tried(values) {
    redraw(result);
    const { success, publicIp, error, latencyMs } = await told(api.post(`${BASE}/test`, { proxy: body(values) }));
    redraw(result, success ? notice("good", h("p", null, `It works (${milliseconds(latencyMs)}): providers see ${publicIp ?? "its address"}.`)) : notice("bad", h("p", null, error)));
  }

  async function save(values) {
    await told(api.put(BASE, { level: "global", proxy: values.type ? body(values) : null }));
    toast("Saved. It is in force now.");
  }

  draw();
  return [built.element, others > 0 && h("p", { class: "note" }, `${plural(others, "provider, combo or account", "providers, combos or accounts")} go through a proxy of their own, set by the management interface.`)];
}

// What the gateway takes; a proxy needs an address at the least.
function body({ type, host, port, username, password }) {
  const missing = [!host && { field: "host", message: "Which host?" }, !port && { field: "port", message: "Which port?" }].filter(Boolean);
  if (missing.length) throw { fields: missing };
  return { type, host, port, ...(username && { username }), ...(password && { password }) };
}

// The gateway names the field at the beginning of its words.
async function told(answer) {
  try {
    return await answer;
  } catch (error) {
    const name = NAMES[error.message?.split(" ")[0]];
    if (name && !error.fields?.length) throw { fields: [{ field: name, message: error.message }] };
    throw error;
  }
}
