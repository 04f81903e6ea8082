// Fallback chains: the providers that take over a model when its provider fails.

import { api } from "../api.js";
import { card, cardButtons, cards, tags } from "../parts/cards.js";
import { providerNames } from "../parts/catalog.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { plural } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { modelField } from "../parts/model_lines.js";
import { live } from "../parts/poll.js";
import { section } from "../parts/table.js";

const BASE = "/api/fallback/chains";
const OFF = "# "; // before a provider that is switched off

export function chainsSection(host, signal) {
  const place = h("div");
  const aside = action("Add a chain", () => editChain("", [], () => refresh()));
  redraw(host, section("Fallback chains", { aside, note: "Which providers take over a model, in order, when the one before fails. For several different models, make a combo instead." }, place));
  const refresh = live({
    signal,
    seconds: 30,
    load: () => api.get(BASE, signal),
    draw: (chains) => {
      const rows = Object.entries(chains);
      redraw(place, rows.length ? cards(rows.map(([model, chain]) => one(model, chain, refresh))) : h("p", { class: "muted" }, "No chain yet: a model name without a provider goes to the provider that offers the model."));
    },
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

const ordered = (chain) => [...chain].sort((a, b) => a.priority - b.priority);
const toLine = ({ provider, enabled }) => (enabled ? provider : OFF + provider);

function one(model, chain, refresh) {
  const button = cardButtons(model, `the chain of ${model}`);
  const on = chain.filter(({ enabled }) => enabled).length;
  const actions = [
    button("Edit", () => editChain(model, chain, refresh)),
    button("Delete", () => remove(model, refresh), { class: "quiet grave" }),
  ];
  const state = on ? lamp("ok", plural(on, "provider")) : lamp("off", "Disabled");
  return card({ off: !on, state, actions }, h("strong", { class: "breakable" }, model), tags(ordered(chain).map(toLine)));
}

async function editChain(model, chain, done) {
  const [name, known] = await Promise.all([
    modelField({ name: "model", label: "Model", value: model, required: true, readonly: Boolean(model), hint: "Its name without a provider: gpt-4o." }),
    providerNames(),
  ]);
  const providers = field({ name: "chain", label: "Providers", kind: "lines", rows: 4, value: ordered(chain).map(toLine), hint: "One per line, in order: openai. A # at the beginning switches a line off." });
  dialog(model ? "Change a chain" : "Add a chain", (close) => {
    const submit = async (values) => {
      const links = values.chain.map((row, at) => ({ provider: row.replace(/^#\s*/, ""), priority: at + 1, enabled: !row.startsWith("#") }));
      const unknown = Object.keys(known).length > 0 && links.find(({ provider }) => provider.includes("/"));
      if (unknown) throw { fields: [{ field: "chain", message: `${unknown.provider} is a model; enter the name of a provider.` }] };
      await api.post(BASE, { model: values.model, chain: links });
      close();
      toast("Saved.");
      done();
    };
    return form({ fields: [name, providers], yes: "Save", cancel: close, submit }).element;
  });
}

function remove(model, refresh) {
  confirm({
    title: "Delete this chain?",
    text: `From now on, ${model} goes to the provider that offers it.`,
    yes: "Delete",
    work: async () => {
      await api.delete(`${BASE}?model=${encodeURIComponent(model)}`);
      toast("Deleted.");
      refresh();
    },
  });
}
