// The models of an account's provider, by the names that programs use, and which of them are in the gateway's list.

import { api, at } from "../api.js";
import { copyButton } from "../parts/copy.js";
import { dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { notice, report } from "../parts/feedback.js";
import { field, form, searchBox } from "../parts/form.js";
import { plural } from "../parts/format.js";

const ADDED = "/api/provider-models";
const SHOWN = 200;

export async function showModels(connection, provider) {
  const [answer, added, known] = await Promise.all([
    api.get(at("/api/providers", connection.id, "models")).catch(orNothing),
    api.get(`${ADDED}?provider=${encodeURIComponent(provider.id)}`).catch(() => null), // not without a password
    api.get("/api/pricing/models"),
  ]);
  const chosen = new Set(added?.models.map(({ id }) => id));
  const builtin = new Set(known[provider.alias]?.models.filter(({ custom }) => !custom).map(({ id }) => id));
  const names = new Set([...answer.models.map(nameOf), ...chosen]);
  const list = h("ul", { class: "rows" });
  const rest = h("p", { class: "note" });
  const search = searchBox("Filter the models", "Filter", () => draw());

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/);
    const found = [...names].filter((name) => words.every((word) => name.toLowerCase().includes(word))).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    search.hidden = names.size <= 10;
    redraw(list, found.slice(0, SHOWN).map(row));
    redraw(rest, found.length > SHOWN ? `And ${plural(found.length - SHOWN, "other")}: filter to see them.` : !found.length && (names.size ? "No such model." : !answer.error && "The provider lists no models."));
  }

  function row(name) {
    const full = `${provider.alias}/${name}`;
    const change = ({ target }) => offer(provider, name, target, chosen);
    const box = added && h("input", { type: "checkbox", checked: chosen.has(name) || builtin.has(name), disabled: builtin.has(name), change, "aria-label": `${full} in the list of models` });
    return h("li", { class: "model" }, box, h("code", { class: "breakable" }, full), copyButton(full, `Copy ${full}`));
  }

  function addForm() {
    const name = field({ name: "modelId", label: "Another model", hint: "One that can be used but is not listed." });
    const submit = async ({ modelId }) => {
      if (!modelId) throw { fields: [{ field: "modelId", message: "Which model?" }] };
      await api.post(ADDED, { provider: provider.id, modelId });
      names.add(modelId);
      chosen.add(modelId);
      name.control.value = "";
      draw();
    };
    return h("details", { open: !names.size }, h("summary", null, "Add a model by its name"), form({ fields: [name], yes: "Add to the list", submit }).element);
  }

  draw();
  dialog(`Models of ${provider.name}`, (close) => [
    answer.error && notice("bad", h("p", null, answer.error.message)),
    note(provider, added),
    search,
    list,
    rest,
    added && addForm(),
    h("div", { class: "actions end" }, h("button", { type: "button", class: "primary", click: close }, "Done")),
  ]);
}

const nameOf = ({ id, name }) => String(id ?? name).replace(/^models\//, ""); // as Gemini calls them

// Models can be added even if the provider does not list them.
function orNothing(error) {
  if (!error.status) throw error;
  return { models: [], error };
}

function note(provider, added) {
  if (added) return h("p", { class: "note" }, "All of them can be used. The gateway's list of models has those that are ticked.");
  if (!provider.node) return h("p", { class: "note" }, "The provider's current models, by the names that programs use.");
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
