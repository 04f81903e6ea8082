// The form to create or change a combo.

import { api, at } from "../api.js";
import { dialog } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { modelLines } from "../parts/model_lines.js";

const BASE = "/api/combos";
export const DEFAULTS = "/api/settings/combo-defaults";
export const STRATEGIES = [
  ["priority", "In the order of the list"],
  ["weighted", "By weight"],
  ["round-robin", "In turn"],
  ["random", "At random"],
  ["least-used", "The least used first"],
  ["cost-optimized", "The cheapest first"],
  ["p2c", "The better of two at random"],
];
const NUMBERS = [
  ["maxRetries", "Tries again after an error", 0, 10],
  ["retryDelayMs", "Wait before the next attempt (ms)", 0, 60_000],
  ["timeoutMs", "Longest wait for an answer (ms)", 1000, 600_000],
  ["concurrencyPerModel", "Calls at once to one model", 1, 20],
  ["queueTimeoutMs", "Longest wait for a free slot (ms)", 1000, 120_000],
  ["healthCheckTimeoutMs", "Longest wait for a health check (ms)", 100, 30_000],
  ["maxComboDepth", "Combos within combos", 1, 10],
];
const SWITCHES = [
  ["healthCheckEnabled", "Skip models that fail"],
  ["trackMetrics", "Count calls and answers"],
];

export const toLine = (entry) => (typeof entry === "string" ? entry : entry.weight ? `${entry.model} ${entry.weight}` : entry.model);

function toEntry(text) {
  const found = /^(.*\S)\s+(\d+(?:\.\d+)?)$/.exec(text);
  return found ? { model: found[1], weight: Number(found[2]) } : text;
}

export async function editCombo(combo, done) {
  const [models, { comboDefaults }] = await Promise.all([
    modelLines({
      name: "models", label: "Models", value: combo?.models.map(toLine), rows: 4, without: combo?.name,
      hint: "One per line, in order: openai/gpt-4o, or another combo. A number after the model is its weight: openai/gpt-4o 70.",
    }),
    api.get(DEFAULTS),
  ]);
  const main = [
    field({ name: "name", label: "Name", value: combo?.name, required: true, hint: "Programs use it as the model's name: letters, digits, - _ / and ." }),
    models,
    field({ name: "strategy", label: "Which model comes first", kind: "select", value: combo?.strategy ?? "priority", options: strategies(combo) }),
    field({ name: "isActive", label: "Active", kind: "check", value: combo?.isActive ?? true }),
  ];
  const config = configFields(combo?.config ?? {}, comboDefaults);
  const folded = h(
    "details",
    { open: Object.keys(combo?.config ?? {}).length > 0 },
    h("summary", null, "How its models are tried"),
    h("p", { class: "note" }, "Empty fields use the defaults for all combos."),
    h("div", { class: "numbers" }, config.map((one) => one.element)),
  );
  dialog(combo ? `Change ${combo.name}` : "Make a combo", (close) => {
    const submit = async (values, changes) => {
      if (!combo) await api.post(BASE, toBody(values, values));
      else if (Object.keys(changes).length) await api.patch(at(BASE, combo.id), toBody(changes, values));
      close();
      toast("Saved.");
      done();
    };
    return form({ fields: [...main, ...config], body: [main.map((one) => one.element), folded], yes: "Save", cancel: close, submit }).element;
  });
}

// A strategy that was set through the API and is not listed here is shown by its name, so that saving keeps it.
const strategies = (combo) =>
  !combo || STRATEGIES.some(([name]) => name === combo.strategy) ? STRATEGIES : [...STRATEGIES, [combo.strategy, combo.strategy]];

export function configFields(config, defaults, prefix = "config") {
  const usual = (name) => (defaults[name] ? "on" : "off");
  return [
    ...NUMBERS.map(([name, label, min, max]) =>
      field({ name: `${prefix}.${name}`, label, kind: "number", min, max, value: config[name], placeholder: String(defaults[name]) }),
    ),
    ...SWITCHES.map(([name, label]) =>
      field({ name: `${prefix}.${name}`, label, kind: "select", value: String(config[name] ?? ""), options: [["", `Default: ${usual(name)}`], ["true", "On"], ["false", "Off"]] }),
    ),
  ];
}

// The configuration is replaced as a whole.
function toBody({ name, strategy, isActive, models, ...config }, values) {
  return { name, strategy, isActive, models: models?.map(toEntry), config: Object.keys(config).length ? toConfig(values) : undefined };
}

// An empty number is undefined, which JSON omits.
const toConfig = (values) => ({
  ...Object.fromEntries(NUMBERS.map(([name]) => [name, values[`config.${name}`]])),
  ...Object.fromEntries(SWITCHES.map(([name]) => [name, { true: true, false: false }[values[`config.${name}`]]])),
});
