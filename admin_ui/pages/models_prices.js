// Prices: the built-in ones, and the user's own in their place.

import { api } from "../api.js";
import { confirm } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, toast } from "../parts/feedback.js";
import { choice, searchBox } from "../parts/form.js";
import { dollars, integer, plural } from "../parts/format.js";
import { live } from "../parts/poll.js";
import { none, section, table } from "../parts/table.js";
import { editPrice, newPrice, UNITS } from "./models_price_form.js";

const BASE = "/api/pricing";
const ROWS = 50; // shown at first, and with every "Show more"
const WHICH = [["used", "Of your accounts"], ["own", "Set by you"], ["none", "Without a price"], ["all", "All models"]];

export function pricesSection(host, signal) {
  let [wanted, most, rows, prefixes] = ["used", ROWS, [], new Map()];
  const place = h("div");
  const search = searchBox("Filter the models", "Filter", () => ((most = ROWS), draw()));
  const which = choice("Which models", WHICH, wanted, (event) => ((wanted = event.target.value), (most = ROWS), draw()));
  const aside = h("span", { class: "actions" });
  const note = "In dollars per million tokens, as the providers published them. Your own prices take their place from the next request on; calls in the log keep their cost.";
  redraw(host, section("Prices", { note, aside }, h("div", { class: "filters" }, search, which), place));

  function draw() {
    const own = rows.filter(isOwn).length;
    redraw(aside, own > 0 && action("Reset all", () => resetAll(own, refresh), { class: "danger-text", "data-key": "reset all" }), action("Set a price", () => newPrice(rows, prefixes, refresh), { "data-key": "set a price" }));
    const words = search.value.toLowerCase().split(/\s+/);
    const found = rows.filter((row) => isWanted(row, wanted) && words.every((word) => row.name.toLowerCase().includes(word)));
    const more = () => h("button", { type: "button", "data-key": "more prices", click: () => ((most += ROWS), draw()) }, "Show more");
    redraw(place, found.length ? priceTable(found.slice(0, most), refresh) : nothing(rows, wanted, search.value), found.length > most && h("div", { class: "actions" }, more(), h("span", { class: "muted" }, `${integer(most)} of ${integer(found.length)}`)));
  }

  const refresh = live({
    signal,
    load: () => load(signal),
    draw: (found) => (([rows, prefixes] = found), draw()),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

// One row for each model that has a price or could get one; and the prefixes of all providers, by prefix and by id.
async function load(signal) {
  const [prices, builtin, models, { connections }] = await Promise.all(
    [BASE, `${BASE}/defaults`, `${BASE}/models`, "/api/providers"].map((path) => api.get(path, signal)),
  );
  const used = new Set(connections.map(({ provider }) => provider));
  const byProvider = ([alias, provider]) => {
    const ids = new Set([...provider.models.map(({ id }) => id), ...Object.keys(prices[alias] ?? {})]);
    return [...ids].map((model) => ({ alias, model, name: `${alias}/${model}`, used: used.has(provider.id), price: prices[alias]?.[model] ?? {}, builtin: builtin[alias]?.[model] ?? {} }));
  };
  const unlisted = Object.keys(prices).filter((alias) => !models[alias]).map((alias) => [alias, { id: alias, models: [] }]); // such as a deleted endpoint
  const rows = [...Object.entries(models), ...unlisted].flatMap(byProvider);
  return [rows.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })), new Map(Object.entries(models).flatMap(([alias, { id }]) => [[id, alias], [alias, alias]]))];
}

const isOwn = ({ price, builtin }) => UNITS.some(([unit]) => price[unit] !== builtin[unit]);

const isWanted = (row, wanted) =>
  ({ used: row.used || isOwn(row), own: isOwn(row), none: row.used && !Object.keys(row.price).length, all: true })[wanted];

function nothing(rows, wanted, search) {
  const words = { used: "No model of your accounts is known by name. A price can be set for each.", own: "No price was set by you.", none: "Every listed model of your accounts has a price." };
  return h("p", { class: "muted" }, (!search && words[wanted]) || "No such model.");
}

function priceTable(rows, refresh) {
  const button = (label, { name }, work, more) => action(label, work, { class: "link", "data-key": `${name} ${label}`, "aria-label": `${label} the price of ${name}`, ...more });
  const amount = (unit) => ({ price }) => (price[unit] === undefined ? none() : dollars(price[unit]));
  const columns = [
    { label: "Model", cell: (row) => [h("code", { class: "breakable" }, row.name), isOwn(row) && h("span", { class: "muted under" }, "set by you")] },
    { label: "Input", class: "num", cell: amount("input") },
    { label: "Output", class: "num", cell: amount("output") },
    { label: "Cached", class: "num", cell: amount("cached") },
    { label: "Other", class: "num", cell: ({ price }) => others(price) },
    {
      label: "",
      class: "num",
      cell: (row) => h("span", { class: "links" }, isOwn(row) && button("Reset", row, () => reset(row, refresh), { class: "link grave" }), button("Edit", row, () => editPrice(row, refresh))),
    },
  ];
  return table("Prices in dollars per million tokens", columns, rows);
}

function others(price) {
  const rest = UNITS.slice(3).filter(([unit]) => price[unit] !== undefined);
  return rest.length ? rest.map(([unit, , words]) => h("div", null, `${dollars(price[unit])} `, h("span", { class: "muted" }, words))) : none();
}

function reset({ alias, model, name, builtin }, refresh) {
  confirm({
    title: `Reset the price of ${name}?`,
    text: Object.keys(builtin).length ? "The built-in price applies again." : "It has no built-in price: its calls are no longer counted in the cost.",
    yes: "Reset",
    work: async () => {
      await api.delete(`${BASE}?provider=${encodeURIComponent(alias)}&model=${encodeURIComponent(model)}`);
      toast("Reset.");
      refresh();
    },
  });
}

function resetAll(count, refresh) {
  confirm({
    title: "Reset all prices?",
    text: `Your own prices of ${plural(count, "model")} are deleted; the built-in prices apply again.`,
    yes: "Reset",
    work: async () => {
      await api.delete(BASE);
      toast("Reset.");
      refresh();
    },
  });
}
