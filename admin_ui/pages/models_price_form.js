// The form to set the price of a model.

import { api } from "../api.js";
import { dialog } from "../parts/dialog.js";
import { h, uniqueId } from "../parts/dom.js";
import { toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";

const BASE = "/api/pricing";

// The API's names, the labels of the fields, and the words after an amount.
export const UNITS = [
  ["input", "Input", "input"],
  ["output", "Output", "output"],
  ["cached", "Cached input", "cached"],
  ["cache_creation", "Input stored in a cache", "stored"],
  ["reasoning", "Reasoning", "reasoning"],
  ["per_image", "An image", "an image"],
  ["per_second", "A second of sound", "a second"],
  ["per_million_characters", "A million characters spoken", "a million characters"],
  ["per_search", "A search", "a search"],
];
const TOKENS = 5; // of them are per million tokens

export function editPrice(row, done) {
  priceDialog(`Price of ${row.name}`, row, [], () => row, done);
}

export function newPrice(rows, prefixes, done) {
  const list = uniqueId("priced");
  const name = field({ name: "model", label: "Model", required: true, list, hint: "With its provider: openai/gpt-4o." });
  name.element.append(h("datalist", { id: list }, rows.map((row) => h("option", { value: row.name }))));
  const named = (text) => {
    const at = text.indexOf("/");
    const [prefix, model] = [text.slice(0, at), text.slice(at + 1)];
    if (at < 1 || !model) throw { fields: [{ field: "model", message: "Enter provider/model." }] };
    const alias = prefixes.get(prefix);
    if (!alias) throw { fields: [{ field: "model", message: `No provider has the prefix ${prefix}.` }] };
    return rows.find((row) => row.alias === alias && row.model === model) ?? { alias, model, price: {}, builtin: {} };
  };
  priceDialog("Set a price", { price: {}, builtin: {} }, [name], ({ model }) => named(model), done);
}

// *target*: gives the row to change for the values of the form.
function priceDialog(title, { price, builtin }, before, target, done) {
  const amounts = UNITS.map(([unit, label]) =>
    field({
      name: unit, label, kind: "number", min: 0, step: "any", value: price[unit] === builtin[unit] ? undefined : price[unit], placeholder: builtin[unit],
    }),
  );
  const group = (list) => h("div", { class: "numbers" }, list.map((one) => one.element));
  const [perToken, others] = [amounts.slice(0, TOKENS), amounts.slice(TOKENS)];
  const body = [
    before.map((one) => one.element),
    h("p", { class: "note" }, "Dollars per million tokens. An empty field keeps the built-in price."),
    group(perToken),
    h("details", { open: others.some((one) => one.control.value || one.control.placeholder) }, h("summary", null, "Not by tokens (dollars)"), group(others)),
  ];
  dialog(title, (close) => {
    const submit = async (values) => {
      const row = target(values);
      const wrong = amounts.filter(({ name, control }) => values[name] < 0 || control.validity.badInput).map(({ name }) => ({ field: name, message: "A number of at least 0." }));
      if (wrong.length) throw { fields: wrong };
      const set = Object.fromEntries(UNITS.map(([unit]) => [unit, values[unit]]).filter(([, amount]) => amount !== undefined));
      if (!Object.keys(set).length && before.length) throw { fields: [{ field: "input", message: "At least one price is needed." }] };
      await save(row, set, before.length > 0);
      close();
      toast("Saved. It applies from the next request on.");
      done();
    };
    return form({ fields: [...before, ...amounts], body, yes: "Save", cancel: close, submit }).element;
  });
}

// The API merges prices, so an amount that is taken away needs the stored ones to be deleted before.
async function save({ alias, model, price, builtin }, set, merge) {
  const gone = !merge && UNITS.some(([unit]) => price[unit] !== builtin[unit] && set[unit] === undefined);
  if (gone) await api.delete(`${BASE}?provider=${encodeURIComponent(alias)}&model=${encodeURIComponent(model)}`);
  if (Object.keys(set).length) await api.patch(BASE, { [alias]: { [model]: set } });
}
