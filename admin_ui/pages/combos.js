// Combos: one name for several models, which are tried one after the other until one answers.

import { api, at } from "../api.js";
import { card, cardButtons, cards, tags } from "../parts/cards.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, empty, failure, toast } from "../parts/feedback.js";
import { ago, integer, milliseconds, plural } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { facts, table } from "../parts/table.js";
import { editDefaults } from "./combo_defaults.js";
import { editCombo, STRATEGIES, toLine } from "./combo_form.js";

export const title = "Combos";
const BASE = "/api/combos";
const words = new Map([...STRATEGIES, ["fill-first", "In the order of the list"]]);

export function show({ host, tools, signal }) {
  const refresh = live({
    signal,
    seconds: 15,
    load: async () => {
      const [{ combos }, { metrics }] = await Promise.all([api.get(BASE, signal), api.get(`${BASE}/metrics`, signal)]);
      return { combos, metrics };
    },
    draw: ({ combos, metrics }) => {
      const add = () => editCombo(null, refresh);
      redraw(host, combos.length ? cards(combos.map((combo) => one(combo, metrics[combo.name], refresh))) : nothing(add));
      redraw(tools, combos.length > 0 && [action("Defaults", () => editDefaults(refresh), { "data-key": "defaults" }), action("Make a combo", add, { class: "primary", "data-key": "add" })]);
    },
    failed: (error) => redraw(host, failure(error, () => refresh())),
  });
}

const nothing = (add) =>
  empty(
    "No combo yet",
    "A combo is a name that programs use like a model's. The gateway tries its models one after the other until one answers, so programs do not notice a rate limit or an outage at one provider.",
    action("Make a combo", add, { class: "primary" }),
  );

function one(combo, metrics, refresh) {
  const { id, name, models, strategy, isActive } = combo;
  const button = cardButtons(id, name);
  const told = metrics && `${plural(metrics.totalRequests, "call")}, ${metrics.successRate} % answered`;
  const turn = async () => {
    await api.patch(at(BASE, id), { isActive: !isActive });
    refresh();
  };
  const actions = [
    models.length > 0 && button("Test", () => test(name)),
    metrics && button("Figures", () => figures(name, metrics, refresh)),
    button(isActive ? "Disable" : "Enable", turn, { "data-key": `${id} switch` }),
    button("Edit", () => editCombo(combo, refresh)),
    button("Delete", () => remove(combo, refresh), { class: "quiet grave" }),
  ];
  return card(
    { off: !isActive, state: isActive ? lamp("ok", "Active") : lamp("off", "Disabled"), actions },
    h("strong", null, name),
    h("p", { class: "muted" }, [words.get(strategy) ?? strategy, told].filter(Boolean).join(" · ")),
    models.length > 0 ? tags(models.map(toLine)) : h("p", { class: "trouble" }, "It has no models yet, so it cannot be used."),
  );
}

// Each model is called in turn, for up to 15 seconds.
async function test(name) {
  const { results } = await api.post(`${BASE}/test`, { comboName: name });
  const row = ({ model, status, statusCode, error, latencyMs }) =>
    card(
      { state: status === "ok" ? lamp("ok", "Answered") : lamp("bad", "Failed") },
      h("code", { class: "breakable" }, model),
      h("p", { class: "muted" }, status === "ok" ? `in ${milliseconds(latencyMs)}` : [statusCode, error].filter(Boolean).join(": ")),
    );
  dialog(`Test of ${name}`, (close) => [
    cards(results.map(row)),
    h("div", { class: "actions end" }, h("button", { type: "button", class: "primary", autofocus: true, click: close }, "Done")),
  ]);
}

function figures(name, metrics, refresh) {
  const columns = [
    { label: "Model", cell: ([model]) => h("code", { class: "breakable" }, model) },
    { label: "Calls", class: "num", cell: ([, of]) => integer(of.requests) },
    { label: "Answered", class: "num", cell: ([, of]) => `${of.successRate} %` },
    { label: "On average", class: "num", cell: ([, of]) => milliseconds(of.avgLatencyMs) },
  ];
  const models = Object.entries(metrics.byModel);
  dialog(`Figures of ${name}`, (close) => [
    facts([
      ["Calls", integer(metrics.totalRequests)],
      ["Answered", `${metrics.successRate} %`],
      ["By a later model", `${metrics.fallbackRate} %`],
      ["On average", milliseconds(metrics.avgLatencyMs)],
      ["Last used", metrics.lastUsedAt ? ago(metrics.lastUsedAt) : "–"],
    ]),
    models.length > 0 && table(`Models of ${name}`, columns, models),
    h("p", { class: "note" }, "Counted since the gateway started, or since the last reset."),
    h(
      "div",
      { class: "actions end" },
      action("Reset", async () => {
        await api.delete(`${BASE}/metrics?combo=${encodeURIComponent(name)}`);
        close();
        refresh();
      }),
      h("button", { type: "button", class: "primary", autofocus: true, click: close }, "Done"),
    ),
  ]);
}

function remove({ id, name }, refresh) {
  confirm({
    title: `Delete ${name}?`,
    text: "Requests for it are refused from now on, and it is removed from combos that contain it.",
    yes: "Delete",
    work: async () => {
      await api.delete(at(BASE, id));
      toast("Deleted.");
      refresh();
    },
  });
}
