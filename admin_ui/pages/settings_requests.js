// What the gateway changes in requests: a system prompt, and how much models may think.

import { api } from "../api.js";
import { h, redraw } from "../parts/dom.js";
import { toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { once } from "../parts/once.js";
import { section } from "../parts/table.js";

const PROMPT = "/api/settings/system-prompt";
const THINKING = "/api/settings/thinking-budget";
const MODES = [
  ["passthrough", "As the program requests"],
  ["auto", "Leave it to the provider"],
  ["custom", "A fixed number of tokens"],
  ["adaptive", "More for long and hard requests"],
];
const EFFORTS = [["none", "None"], ["low", "Low"], ["medium", "Medium"], ["high", "High"]];

export function requestsSection(host, signal) {
  const prompt = h("div");
  const thinking = h("div");
  redraw(
    host,
    section("System prompt", { note: "Added to every request, before the program's own system prompt." }, prompt),
    section("Thinking", { note: "How many tokens models may use for thinking." }, thinking),
  );
  once(prompt, signal, () => api.get(PROMPT, signal), promptForm);
  once(thinking, signal, () => api.get(THINKING, signal), thinkingForm);
}

function promptForm({ enabled, prompt }) {
  const fields = [
    field({ name: "prompt", label: "Text", kind: "long", rows: 4, value: prompt }),
    field({ name: "enabled", label: "Add it to every request", kind: "check", value: enabled }),
  ];
  const submit = async (values, changes) => {
    if (values.enabled && !values.prompt) throw { fields: [{ field: "prompt", message: "There is no text to add yet." }] };
    if (Object.keys(changes).length) await api.put(PROMPT, changes);
    toast("Saved. It applies from now on.");
  };
  return form({ fields, yes: "Save the prompt", submit }).element;
}

function thinkingForm({ mode, customBudget, effortLevel }) {
  const budget = field({ name: "customBudget", label: "Tokens", kind: "number", min: 0, max: 131_072, value: customBudget });
  const effort = field({ name: "effortLevel", label: "Effort of an easy request", kind: "select", value: effortLevel, options: EFFORTS });
  const chosen = field({ name: "mode", label: "How much", kind: "select", value: mode, options: MODES, onchange: () => draw() });
  const draw = () => {
    budget.element.hidden = chosen.read() !== "custom";
    effort.element.hidden = chosen.read() !== "adaptive";
  };
  draw();
  const submit = async (values) => {
    await api.put(THINKING, values);
    toast("Saved. It applies from now on.");
  };
  return form({ fields: [chosen, budget, effort], yes: "Save", submit }).element;
}
