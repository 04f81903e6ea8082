// Patterns: names with wildcards, each for one model.

import { api } from "../api.js";
import { h, redraw } from "../parts/dom.js";
import { toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { once } from "../parts/once.js";
import { section } from "../parts/table.js";

const BASE = "/api/settings";

export function patternsSection(host, signal) {
  const place = h("div");
  redraw(host, section("Patterns", { note: "Names that programs ask for, and the model that they get. If several patterns match, the most specific counts." }, place));
  once(place, signal, () => api.get(BASE, signal), patternsForm);
}

function patternsForm({ wildcardAliases = [] }) {
  const lines = field({
    name: "wildcardAliases", label: "Model names to translate", kind: "lines",
    value: wildcardAliases.map(({ pattern, target }) => `${pattern} = ${target}`),
    hint: "One per line: pattern = model. * matches anything, as in gpt-* = groq/llama-3.3-70b-versatile.",
  });
  const submit = async (values) => {
    await api.patch(BASE, { wildcardAliases: values.wildcardAliases.map(toAlias) });
    toast("The patterns are saved. They apply from the next request on.");
  };
  return form({ fields: [lines], yes: "Save the patterns", submit }).element;
}

function toAlias(row, at) {
  const [pattern, target, ...rest] = row.split("=").map((part) => part.trim());
  if (!pattern || !target || rest.length) throw { fields: [{ field: "wildcardAliases", message: `Line ${at + 1} must read: pattern = model` }] };
  return { pattern, target };
}
