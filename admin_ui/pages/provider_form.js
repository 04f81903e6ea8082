// The forms to add an account at a provider and to change one.

import { api, at } from "../api.js";
import { grouped } from "../parts/catalog.js";
import { dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { notice, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { loginPart } from "./provider_login.js";

const LABELS = { resource: "Resource name", account: "Account ID" };

// *taken*: the names in use by provider id, because reusing a name would replace that account.
export function addProvider({ providers, chosen, taken, done }) {
  return dialog("Add a provider", (close) => {
    const place = h("div");
    const pick = field({ name: "provider", label: "Provider", kind: "select", value: chosen, options: [["", "Choose…"], ...grouped(providers)], onchange: draw });
    function draw() {
      const provider = providers.find((one) => one.id === pick.read());
      redraw(place, provider ? [!provider.local && loginPart({ provider, done: loggedIn }), accountForm({ provider, taken: taken(provider.id), close, done })] : hint());
    }
    function loggedIn(connection) {
      close();
      done(connection && { ...connection, name: connection.displayName ?? connection.email ?? "The account" });
    }
    const hint = () =>
      h("p", { class: "note" }, "Not in the list? Any server with an OpenAI, Anthropic, Gemini or Ollama API can be added as an ", h("a", { href: "/dashboard/endpoints" }, "endpoint"), ".");
    draw();
    return [pick.element, place];
  });
}

function accountForm({ provider, taken, close, done }) {
  const name = field({ name: "name", label: "Account name", value: freeName(taken), hint: "Any name that distinguishes it from other accounts." });
  const key = provider.takesKey && field({ name: "apiKey", label: "API key", kind: "password", optional: !provider.needsKey, hint: "Stored encrypted, never shown again." });
  const extra = provider.fields.map((part) =>
    field({ name: `providerSpecificData.${part}`, label: LABELS[part] ?? part, hint: `Part of ${provider.baseUrl}`, required: true }),
  );
  const base = field({ name: "baseUrl", label: "Base URL", kind: "url", optional: true, placeholder: provider.baseUrl, hint: "Only if it differs from the usual one." });
  const model = field({ name: "defaultModel", label: "Default model", optional: true });
  const fields = [name, key, ...extra, base, model].filter(Boolean);
  const main = [...extra, key, name].filter(Boolean).map((one) => one.element);
  const result = h("div", { role: "status" });
  const built = form({
    fields,
    body: [main, h("details", { open: provider.local }, h("summary", null, "Address and default model"), base.element, model.element), result],
    yes: "Add",
    cancel: close,
    // A key cannot be tested alone if the address needs further fields.
    extra: key && !extra.length && h("button", { type: "button", class: "apart", click: (event) => built.guarded(event.currentTarget, tryKey) }, "Test the key"),
    submit,
  });

  async function tryKey(values) {
    redraw(result);
    if (provider.needsKey && !values.apiKey) throw { fields: [{ field: "apiKey", message: "API key is required" }] };
    const { valid, error } = await api.post("/api/providers/validate", { provider: provider.id, apiKey: values.apiKey, ...some({ baseUrl: values.baseUrl }) });
    redraw(result, valid ? notice("good", h("p", null, "The key works.")) : notice("bad", h("p", null, error || "The key does not work.")));
  }

  async function submit(values) {
    redraw(result);
    const missing = [
      ...extra.filter((one) => !one.read()).map((one) => ({ field: one.name, message: "This is needed for the address." })),
      ...(taken.includes(values.name) ? [{ field: "name", message: "There is already an account with this name." }] : []),
    ];
    if (missing.length) throw { fields: missing };
    const data = Object.fromEntries(provider.fields.map((part) => [part, values[`providerSpecificData.${part}`]]));
    const { connection } = await api.post("/api/providers", {
      provider: provider.id,
      name: values.name,
      ...some({ apiKey: values.apiKey, baseUrl: values.baseUrl, defaultModel: values.defaultModel }),
      ...(provider.fields.length ? { providerSpecificData: data } : {}),
    });
    close();
    toast(`${provider.name} added.`);
    done(connection);
  }

  return built.element;
}

export function editProvider({ connection, title, done }) {
  return dialog(`Change ${title}`, (close) => {
    const fields = [
      field({ name: "name", label: "Account name", value: connection.name }),
      connection.authType === "apikey" && field({ name: "apiKey", label: "New API key", kind: "password", optional: true, hint: "Leave empty to keep the stored one." }),
      field({ name: "baseUrl", label: "Base URL", kind: "url", optional: true, value: connection.providerSpecificData?.baseUrl }),
      field({ name: "defaultModel", label: "Default model", optional: true, value: connection.defaultModel }),
      connection.authType === "oauth" && field({ name: "healthCheckInterval", label: "Minutes between renewals of its login", kind: "number", min: 0, optional: true, value: connection.healthCheckInterval, placeholder: "60", hint: "While it is not used. 0: never." }),
    ].filter(Boolean);
    const submit = async (values, changes) => {
      const { name, apiKey, ...rest } = changes;
      const emptied = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, value === "" || value === undefined ? null : value]));
      if (Object.keys(changes).length) await api.patch(at("/api/providers", connection.id), { ...emptied, ...(name !== undefined && { name }), ...some({ apiKey }) });
      close();
      toast("Saved.");
      done();
    };
    return form({ fields, yes: "Save", cancel: close, submit }).element;
  });
}

// Empty values are not sent, so that the gateway's defaults apply.
const some = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value));

function freeName(taken) {
  if (!taken.includes("default")) return "default";
  let number = 2;
  while (taken.includes(`account ${number}`)) number += 1;
  return `account ${number}`;
}
