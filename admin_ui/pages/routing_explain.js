// The accounts that a request for a model would be sent to, in order, and why others are skipped.  Nothing is sent.

import { api } from "../api.js";
import { card } from "../parts/cards.js";
import { h, redraw } from "../parts/dom.js";
import { notice } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { dollars } from "../parts/format.js";
import { countdown, lamp } from "../parts/lamp.js";
import { modelField } from "../parts/model_lines.js";
import { once } from "../parts/once.js";
import { section } from "../parts/table.js";

const OPERATIONS = [
  ["chat", "Chat"], ["embeddings", "Embeddings"], ["images", "Images"], ["image_edits", "Image edits"], ["transcriptions", "Transcription"],
  ["translations", "Translation of audio"], ["speech", "Speech"], ["rerank", "Reranking"], ["moderations", "Moderation"],
];

export function explainSection(host, signal) {
  const place = h("div");
  redraw(host, section("Explain", { note: "Which accounts a request would be sent to, in order, and why others are skipped. Nothing is sent." }, place));
  once(place, signal, load, ([model, { keys }]) => explainForm(model, keys));
}

const load = (signal) =>
  Promise.all([modelField({ name: "model", label: "Model", required: true, hint: "As in a request: a model, a combo or an alias." }), api.get("/api/keys", signal)]);

function explainForm(model, keys) {
  const operation = field({ name: "operation", label: "Operation", kind: "select", value: "chat", options: OPERATIONS });
  const key = field({ name: "apiKeyId", label: "Key", kind: "select", value: "", options: [["", "No key"], ...keys.map(({ id, name }) => [id, name])], hint: "A key may be limited to some models." });
  const told = h("div", { role: "status", class: "told" });
  const more = h("details", null, h("summary", null, "Operation and key"), operation.element, key.element);
  const submit = async (values) => {
    redraw(told);
    redraw(told, explanation(await api.post("/api/explain", { ...values, apiKeyId: values.apiKeyId || null })));
  };
  return [form({ fields: [model, operation, key], body: [model.element, more], yes: "Explain", submit }).element, told];
}

function explanation({ model, combo, strategy, first, candidates }) {
  const way = combo ? ` through the combo ${combo} (${strategy})` : "";
  const summary = first
    ? notice("good", h("p", null, h("strong", null, `${model} would be answered by ${first}`), `${way}.`))
    : notice("bad", h("p", null, h("strong", null, `Nobody would answer ${model} now`), `${way}. The reasons are below.`));
  return [summary, h("ol", { class: "cards", "aria-label": "Candidates in order" }, numbered(candidates).map(step))];
}

// Only the candidates that would be used are numbered.
function numbered(candidates) {
  let asked = 0;
  return candidates.map((candidate) => ({ ...candidate, place: candidate.available ? (asked += 1) : 0 }));
}

function step({ place, model, why, provider, upstreamModel, reason, until, price, accounts }) {
  const target = provider && upstreamModel && `${provider}/${upstreamModel}`;
  return card(
    { state: place ? lamp("ok", place === 1 ? "Used first" : `Number ${place}`) : lamp("warn", "Skipped") },
    h("code", { class: "breakable" }, model),
    h("p", { class: "muted" }, [why, target !== model && target, priceText(price)].filter(Boolean).join(" · ")),
    reason && h("p", { class: "trouble" }, reason, ending(until)),
    accounts.length > 0 && h("ul", { class: "rows" }, accounts.map(account)),
  );
}

const account = ({ name, position, reason, until }) =>
  h("li", null, lamp(position ? "ok" : "warn", name), h("span", { class: "muted" }, reason ?? (position === 1 ? "used first" : `number ${position}`), ending(until)));

const ending = (until) => until && until * 1000 > Date.now() && [" · another ", countdown(until * 1000)];

function priceText(price) {
  const said = [["input", "in"], ["output", "out"]].filter(([name]) => price?.[name] !== null && price?.[name] !== undefined);
  return said.length > 0 && `${said.map(([name, word]) => `${dollars(price[name])} ${word}`).join(", ")} per million tokens`;
}
