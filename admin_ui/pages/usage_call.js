// One call: the requested model, the account that answered, and the bodies if they are kept.

import { api, at } from "../api.js";
import { codeBlock } from "../parts/copy.js";
import { dialog } from "../parts/dialog.js";
import { h } from "../parts/dom.js";
import { milliseconds, moment, money, tokens } from "../parts/format.js";
import { facts } from "../parts/table.js";

export async function showCall(id, names) {
  const call = await api.get(at("/api/usage/call-logs", id));
  const provider = names[call.provider] ?? call.provider;
  const known = [
    ["When", moment(call.timestamp)],
    ["Status", call.status],
    ["Requested model", call.requestedModel],
    ["Answered by", call.model],
    ["Provider", provider],
    ["Account", call.account],
    ["Way", call.route],
    ["Combo", call.comboName],
    ["Key", call.apiKeyName],
    ["Path", call.path],
    ["Format", call.sourceFormat && call.targetFormat && call.sourceFormat !== call.targetFormat ? `${call.sourceFormat} → ${call.targetFormat}` : call.sourceFormat],
    ["Tokens", `${tokens(call.tokens.in)} → ${tokens(call.tokens.out)}`],
    ["Cost", call.cost === null ? "no price known" : money(call.cost)],
    ["Time taken", milliseconds(call.duration)],
    ["Request id", call.requestId],
  ].filter(([, value]) => value);
  const bodies = [["Request", call.requestBody], ["Answer", call.responseBody]].filter(([, body]) => body);
  dialog("Call", (close) => [
    call.error && h("p", { class: "trouble" }, call.error),
    facts(known),
    bodies.map(([title, body]) => h("div", { class: "stack" }, h("h3", null, title), codeBlock(text(body), title.toLowerCase()))),
    !bodies.length && h("p", { class: "note" }, "What was asked and answered is not kept. To keep it from the next call on, enable it in ", h("a", { href: "/dashboard/settings" }, "the settings"), "; a key may forbid it."),
    h("div", { class: "actions end" }, h("button", { type: "button", class: "primary", click: close }, "Done")),
  ]);
}

const text = (body) => (typeof body === "string" ? body : JSON.stringify(body, null, 2));
