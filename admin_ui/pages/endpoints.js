// The user's own endpoints: servers with a known API that are not among the built-in providers.

import { api, at } from "../api.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, empty, failure, notice, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { live } from "../parts/poll.js";

export const title = "Endpoints";
const BASE = "/api/provider-nodes";
const TYPES = [
  ["openai-compatible", "OpenAI"],
  ["anthropic-compatible", "Anthropic"],
  ["gemini-compatible", "Gemini"],
  ["ollama-compatible", "Ollama"],
];
const API_TYPES = [["chat", "Chat completions"], ["responses", "Responses"]];
const NAMES = Object.fromEntries([...TYPES, ...API_TYPES]);

export function show({ host, tools, signal }) {
  const refresh = live({
    signal,
    seconds: 15,
    load: () => Promise.all([api.get(BASE, signal), api.get("/api/providers", signal)]),
    draw: ([{ nodes }, { connections }]) => {
      const add = () => edit({ done: refresh });
      redraw(host, nodes.length ? list(nodes, connections, refresh) : nothing(add));
      redraw(tools, nodes.length > 0 && action("Add an endpoint", add, { class: "primary", "data-key": "add" }));
    },
    failed: (error) => redraw(host, failure(error, () => refresh())),
  });
}

const nothing = (add) =>
  empty(
    "No endpoint of your own",
    "An endpoint is any server with an OpenAI, Anthropic, Gemini or Ollama API: one on your own machine, in your company, or a vendor that is not built in. You choose the prefix of its models' names.",
    action("Add an endpoint", add, { class: "primary" }),
  );

const list = (nodes, connections, refresh) =>
  h("ul", { class: "cards" }, nodes.map((node) => card(node, connections.filter((one) => one.provider === node.id), refresh)));

function card(node, accounts, refresh) {
  const { id, name, prefix, baseUrl, type, apiType } = node;
  const kind = [NAMES[type] ?? type, type === "openai-compatible" && NAMES[apiType]].filter(Boolean).join(", ");
  const button = (label, work, more = {}) =>
    action(label, work, { class: "quiet", "data-key": `${id} ${label}`, "aria-label": `${label} ${name}`, ...more });
  return h(
    "li",
    { class: "card" },
    h("div", { class: "card-state" }, h("code", { class: "tag" }, `${prefix}/`)),
    h(
      "div",
      { class: "card-main" },
      h("strong", null, name),
      h("p", { class: "muted" }, kind, " · ", h("span", { class: "breakable" }, baseUrl)),
      accounts.length === 0 && h("p", { class: "trouble" }, "No account here yet, so its models cannot be used. ", h("a", { href: "/dashboard/providers" }, "Add one")),
    ),
    h(
      "div",
      { class: "actions" },
      button("Edit", () => edit({ node, done: refresh })),
      button("Delete", () => remove(node, accounts.length, refresh), { class: "quiet grave" }),
    ),
  );
}

function remove({ id, name }, count, refresh) {
  confirm({
    title: `Delete ${name}?`,
    text: count ? "Its accounts and their keys are deleted with it. Its usage stays in the history." : "Programs can no longer use its models.",
    yes: "Delete",
    work: async () => {
      await api.delete(at(BASE, id));
      toast("Deleted.");
      refresh();
    },
  });
}

function edit({ node, done }) {
  return dialog(node ? `Change ${node.name}` : "Add an endpoint", (close) => editForm(node, close, done));
}

function editForm(node, close, done) {
  let saved = node; // a second try after a refused key must not create a second endpoint
  const name = field({ name: "name", label: "Name", value: node?.name, required: true });
  const prefix = field({ name: "prefix", label: "Prefix", value: node?.prefix, required: true, hint: "Models are called prefix/model. Letters, digits, - _ and ." });
  const type = !node && field({ name: "type", label: "Interface", kind: "select", value: TYPES[0][0], options: TYPES, onchange: adapt });
  const apiType = field({ name: "apiType", label: "Kind of request", kind: "select", value: node?.apiType ?? "chat", options: API_TYPES });
  const base = field({ name: "baseUrl", label: "Base URL", kind: "url", value: node?.baseUrl, required: true, hint: "With its version, without the operation." });
  const key = field({
    name: "apiKey", label: "API key", kind: "password", optional: true,
    hint: node ? "Only for the test here. Change stored keys on the providers page." : "Creates the first account. Leave empty if the server needs none.",
  });
  const chosenType = () => (type ? type.read() : node.type);
  const PLACES = {
    "openai-compatible": "http://localhost:8000/v1",
    "anthropic-compatible": "http://localhost:8000/v1",
    "gemini-compatible": "http://localhost:8000/v1beta",
    "ollama-compatible": "http://localhost:11434",
  };
  function adapt() {
    apiType.element.hidden = chosenType() !== "openai-compatible";
    base.control.placeholder = PLACES[chosenType()] ?? "";
  }
  adapt();

  const fields = [name, prefix, type, apiType, base, key].filter(Boolean);
  const result = h("div", { role: "status" });
  const built = form({
    fields,
    body: [fields.map((one) => one.element), result],
    yes: node ? "Save" : "Add",
    cancel: close,
    extra: h("button", { type: "button", class: "apart", click: (event) => built.guarded(event.currentTarget, tryOut) }, "Test"),
    submit,
  });
  const kindOf = (values) => (chosenType() === "openai-compatible" ? { apiType: values.apiType } : {});

  async function tryOut(values) {
    redraw(result);
    // The API requires some key for the check; a server without keys ignores it.
    const body = { baseUrl: values.baseUrl, apiKey: values.apiKey || "none", type: chosenType(), ...kindOf(values) };
    if (!body.baseUrl) throw { fields: [{ field: "baseUrl", message: "Base URL is required" }] };
    const { valid, error } = await api.post(`${BASE}/validate`, body);
    redraw(result, valid ? notice("good", h("p", null, "The endpoint answers and accepts the key.")) : notice("bad", h("p", null, error || "It does not work.")));
  }

  async function submit(values, { apiKey, type: chosen, ...changes }) {
    redraw(result);
    if (!values.baseUrl) throw { fields: [{ field: "baseUrl", message: "Base URL is required" }] };
    const body = { name: values.name, prefix: values.prefix, baseUrl: values.baseUrl, ...kindOf(values) };
    const fresh = !saved;
    const answer = await (saved ? api.patch(at(BASE, saved.id), node ? changes : body) : api.post(BASE, { type: chosenType(), ...body }));
    saved = answer.node;
    if (fresh) done();
    if (!node) await api.post("/api/providers", { provider: saved.id, name: "default", apiKey: values.apiKey });
    close();
    toast(node ? "Saved." : `${saved.name} added.`);
    done();
  }

  return built.element;
}
