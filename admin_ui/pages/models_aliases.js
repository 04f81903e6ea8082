// Aliases: further names for single models.

import { api } from "../api.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { modelField } from "../parts/model_lines.js";
import { live } from "../parts/poll.js";
import { section, table } from "../parts/table.js";

const BASE = "/api/models/alias";

export function aliasesSection(host, signal) {
  const place = h("div");
  const aside = h("span");
  redraw(host, section("Aliases", { aside, note: "Short names that programs may use for a model or a combo." }, place));
  const refresh = live({
    signal,
    load: () => api.get(BASE, signal),
    draw: ({ aliases }) => {
      redraw(aside, action("Add an alias", () => edit("", "", refresh), { "data-key": "add alias" }));
      redraw(place, list(Object.entries(aliases), refresh));
    },
    failed: (error) => redraw(place, error.status === 401 ? locked() : failure(error, () => refresh())),
  });
}

// Unlike the rest of these pages, aliases are never open to everyone.
const locked = () => h("p", { class: "muted" }, "To see and change aliases here, first set a ", h("a", { href: "/dashboard/settings" }, "password"), ".");

function list(rows, refresh) {
  if (!rows.length) return h("p", { class: "muted" }, "No alias yet: programs use the models' own names.");
  const button = (label, alias, work, more) => action(label, work, { class: "link", "data-key": `${alias} ${label}`, "aria-label": `${label} ${alias}`, ...more });
  const columns = [
    { label: "Alias", cell: ([alias]) => h("strong", { class: "breakable" }, alias) },
    { label: "Model", cell: ([, model]) => h("code", { class: "breakable" }, model) },
    {
      label: "",
      class: "num",
      cell: ([alias, model]) => h("span", { class: "links" }, button("Edit", alias, () => edit(alias, model, refresh)), button("Delete", alias, () => remove(alias, model, refresh), { class: "link grave" })),
    },
  ];
  return table("Aliases", columns, rows.sort(([a], [b]) => a.localeCompare(b)));
}

async function edit(alias, model, done) {
  const name = field({ name: "alias", label: "Alias", value: alias, required: true, readonly: Boolean(alias), hint: "Any name without a slash: fast." });
  const target = await modelField({ name: "model", label: "Model", value: model, required: true });
  dialog(alias ? "Change an alias" : "Add an alias", (close) => {
    const submit = async (values) => {
      const missing = [!values.alias && { field: "alias", message: "Which name?" }, !values.model && { field: "model", message: "Which model?" }].filter(Boolean);
      if (missing.length) throw { fields: missing };
      await (alias ? api.put(BASE, values) : claim(values));
      close();
      toast("Saved. It applies from the next request on.");
      done();
    };
    return form({ fields: [name, target], yes: "Save", cancel: close, submit }).element;
  });
}

// This route, unlike the other, does not replace an alias that was added elsewhere in the meantime.
async function claim(values) {
  try {
    await api.put("/api/models", values);
  } catch (error) {
    if (error.status === 400 && !error.fields.length) throw { fields: [{ field: "alias", message: error.message }] };
    throw error;
  }
}

function remove(alias, model, refresh) {
  confirm({
    title: `Delete ${alias}?`,
    text: `Requests for it are no longer sent to ${model}.`,
    yes: "Delete",
    work: async () => {
      await api.delete(`${BASE}?alias=${encodeURIComponent(alias)}`);
      toast("Deleted.");
      refresh();
    },
  });
}
