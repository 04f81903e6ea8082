// The form to create or change a policy.

import { api } from "../api.js";
import { dialog } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";

const TYPES = [["routing", "Routing"], ["budget", "Money"], ["access", "Access"]];

export async function editPolicy(policy, done) {
  const { keys } = await api.get("/api/keys");
  const groups = [
    ["", basics(policy)],
    ["Which requests", conditions(policy?.conditions ?? {}, keys)],
    ["Rules", demands(policy?.actions ?? {})],
  ];
  const fields = groups.flatMap(([, parts]) => parts);
  const body = groups.map(([title, parts]) => h("div", { class: "stack", role: "group", "aria-label": title || "Name" }, title && h("h3", null, title), parts.map((one) => one.element)));
  dialog(policy ? `Change ${policy.name}` : "Add a policy", (close) => {
    const submit = async (values) => {
      const body = { ...part(values, ""), conditions: part(values, "conditions."), actions: part(values, "actions.") };
      await api.post("/api/policies", policy ? { ...body, id: policy.id, enabled: policy.enabled } : body);
      close();
      toast("Saved. It applies from now on.");
      done();
    };
    return form({ fields, body, yes: "Save", cancel: close, submit }).element;
  });
}

const basics = (policy) => [
  field({ name: "name", label: "Name", value: policy?.name, required: true }),
  field({ name: "type", label: "Kind", kind: "select", value: policy?.type ?? "routing", options: TYPES, hint: "Only for your own overview." }),
  field({ name: "priority", label: "Place", kind: "number", min: 0, value: policy?.priority ?? 100, hint: "Low numbers come first." }),
];

// A key pattern that was set through the API stays in the list.
function conditions({ model_pattern: model, provider, api_key_id: key }, keys) {
  const known = keys.map(({ id, name }) => [id, name]);
  const options = [["", "Any key"], ...known, ...(key && !keys.some(({ id }) => id === key) ? [[key, key]] : [])];
  return [
    field({ name: "conditions.model_pattern", label: "Model", optional: true, value: model, hint: "* matches anything: openai/*. Empty: every model." }),
    field({ name: "conditions.provider", label: "Provider", optional: true, value: provider, placeholder: "every provider" }),
    field({ name: "conditions.api_key_id", label: "Key", kind: "select", value: key ?? "", options }),
  ];
}

function demands(actions) {
  const lines = (name, label, hint) => field({ name: `actions.${name}`, label, kind: "lines", rows: 2, optional: true, value: actions[name], hint });
  const number = (name, label, more) => field({ name: `actions.${name}`, label, kind: "number", optional: true, value: actions[name], ...more });
  return [
    lines("prefer_provider", "Use these providers first", "One per line."),
    lines("block_provider", "Never use these providers", "One per line."),
    lines("block_model", "Forbid these models", "One per line, * matches anything."),
    number("max_tokens", "Longest answer (tokens)", { min: 1 }),
    number("max_cost_per_1k", "Highest price per 1,000 tokens ($)", { min: 0, step: "any", hint: "The higher of a model's two prices counts." }),
    number("daily_budget", "Daily budget of all these requests ($)", { min: 0, step: "any" }),
  ];
}

// The values whose names begin with *prefix*, without the prefix; empty values are omitted.
const part = (values, prefix) =>
  Object.fromEntries(
    Object.entries(values)
      .filter(([name, value]) => name.startsWith(prefix) && (prefix || !name.includes(".")) && value !== "" && value !== undefined)
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
