// The models of an account's provider, by the names that programs use, and which of them are in the gateway's list.

import { api, at } from "../api.js";
import { copyButton } from "../parts/copy.js";
import { dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { report } from "../parts/feedback.js";
import { plural } from "../parts/format.js";

const ADDED = "/api/provider-models";
const SHOWN = 200;

export async function showModels(connection, provider) {
  const { models } = await api.get(at("/api/providers", connection.id, "models"));
  const names = models.map(({ id, name }) => String(id ?? name).replace(/^models\//, "")).sort((a, b) => a.localeCompare(b, "en", { numeric: true })); // as Gemini calls them
  const added = provider.node && (await api.get(`${ADDED}?provider=${encodeURIComponent(provider.id)}`).catch(() => null));
  const chosen = new Set(added?.models?.map(({ id }) => id));
  const list = h("ul", { class: "rows" });
  const rest = h("p", { class: "note" });
  const search = h("input", { type: "search", "aria-label": "Filter the models", placeholder: "Filter", input: () => draw() });

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/);
    const found = names.filter((name) => words.every((word) => name.toLowerCase().includes(word)));
    redraw(list, found.slice(0, SHOWN).map(row));
    redraw(rest, found.length > SHOWN ? `And ${plural(found.length - SHOWN, "other")}: filter to see them.` : !found.length && (names.length ? "No such model." : "The provider lists no models."));
  }

  function row(name) {
    const full = `${provider.alias}/${name}`;
    const change = ({ target }) => offer(provider, name, target, chosen);
    const box = added && h("input", { type: "checkbox", checked: chosen.has(name), change, "aria-label": `${full} in the list of models` });
    return h("li", { class: "model" }, box, h("code", { class: "breakable" }, full), copyButton(full, `Copy ${full}`));
  }

  draw();
  dialog(`Models of ${provider.name}`, (close) => [
    note(provider, added),
    names.length > 10 && search,
    list,
    rest,
    h("div", { class: "actions end" }, h("button", { type: "button", class: "primary", click: close }, "Done")),
  ]);
}

function note(provider, added) {
  if (!provider.node) return h("p", { class: "note" }, "The provider's current models, by the names that programs use.");
  if (added) return h("p", { class: "note" }, "All of them can be used. The gateway's list of models has only those that are ticked.");
  const link = h("a", { href: "/dashboard/settings" }, "password");
  return h("p", { class: "note" }, "All of them can be used. To choose here which of them are in the gateway's list, first add a ", link, ".");
}

async function offer(provider, name, box, chosen) {
  const query = `provider=${encodeURIComponent(provider.id)}&model=${encodeURIComponent(name)}`;
  try {
    await (box.checked ? api.post(ADDED, { provider: provider.id, modelId: name }) : api.delete(`${ADDED}?${query}`));
    if (box.checked) chosen.add(name);
    else chosen.delete(name);
  } catch (error) {
    box.checked = !box.checked;
    report(error);
  }
}
