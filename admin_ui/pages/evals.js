// Evaluations of models: suites of test cases, their runs, and the results.

import { api, at } from "../api.js";
import { card, cardButtons, cards } from "../parts/cards.js";
import { dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { failure, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { ago, plural } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { modelField } from "../parts/model_lines.js";
import { once } from "../parts/once.js";
import { live } from "../parts/poll.js";
import { section } from "../parts/table.js";
import { casesTable, resultView } from "./evals_tables.js";

export const title = "Evaluations";
const BASE = "/api/evals";

export function show({ host, signal }) {
  const [start, runs, suites] = [h("div"), h("div"), h("div")];
  redraw(
    host,
    section("Try a model", { note: "Each case is sent through the gateway and counted like any other request." }, start),
    section("Runs", {}, runs),
    section("Suites", { note: ["Your own: one JSON file per suite in the folder ", h("code", null, "evals"), " of the data directory."] }, suites),
  );
  const known = api.get(BASE, signal).then((list) => Object.fromEntries(list.map(({ id, name }) => [id, name])), () => ({}));
  const refresh = live({
    signal,
    seconds: 2,
    load: () => Promise.all([api.get(`${BASE}/runs`, signal), known]),
    draw: ([{ runs: list }, names]) => redraw(runs, list.length ? cards(list.map((run) => one(run, names[run.suiteId] ?? run.suiteId, refresh))) : h("p", { class: "muted" }, "No run yet. Runs are kept until the gateway stops.")),
    failed: (error) => redraw(runs, failure(error, () => refresh())),
  });
  once(start, signal, (signal) => Promise.all([api.get(BASE, signal), modelField({ name: "model", label: "Model", required: true })]), ([list, model]) => runForm(list, model, refresh));
  once(suites, signal, (signal) => api.get(BASE, signal), (list) => cards(list.map(suite)));
}

function runForm(list, model, refresh) {
  const suite = field({ name: "suiteId", label: "Suite", kind: "select", value: list[0]?.id, options: list.map(({ id, name, caseCount }) => [id, `${name} (${plural(caseCount, "case")})`]) });
  const submit = async ({ suiteId, model: asked }) => {
    if (!asked) throw { fields: [{ field: "model", message: "Which model?" }] };
    await api.post(BASE, { suiteId, model: asked, background: true });
    toast("The run has started.");
    refresh();
  };
  return form({ fields: [suite, model], yes: "Run", submit }).element;
}

function one(run, name, refresh) {
  const button = cardButtons(run.runId, `${name} with ${run.model}`);
  const stop = async () => {
    await api.delete(at(BASE, "runs", run.runId));
    refresh();
  };
  const actions = [
    run.status === "running" && button("Stop", stop),
    run.status === "completed" && button("Result", () => result(run.runId)),
  ];
  return card(
    { state: state(run), actions },
    h("strong", null, name),
    h("p", null, h("code", { class: "breakable" }, run.model)),
    h("p", { class: "muted" }, `${run.passed} of ${run.status === "running" ? `${run.done} passed so far` : `${run.total} passed`} · started ${ago(run.startedAt)}`),
  );
}

function state({ status, done, passed, total }) {
  if (status === "running") return lamp("new", `${done} of ${total}`);
  if (status === "completed") return passed === total ? lamp("ok", "All passed") : lamp("bad", `${total - passed} failed`);
  return status === "cancelled" ? lamp("off", "Stopped") : lamp("bad", "Broken off");
}

async function result(id) {
  const { result: report } = await api.get(at(BASE, "runs", id));
  dialog(report.suiteName, (close) => [resultView(report), done(close)]);
}

function suite({ id, name, description, caseCount }) {
  const button = cardButtons(id, name);
  const cases = async () => {
    const whole = await api.get(at(BASE, id));
    dialog(name, (close) => [casesTable(whole), done(close)]);
  };
  return card({ state: h("span", { class: "muted" }, plural(caseCount, "case")), actions: button("Cases", cases) }, h("strong", null, name), h("p", { class: "muted" }, description), h("code", { class: "tag" }, id));
}

const done = (close) => h("div", { class: "actions end" }, h("button", { type: "button", class: "primary", click: close }, "Done"));
