// Usage: requests, tokens and cost, and the newest calls.

import { api } from "../api.js";
import { providerNames } from "../parts/catalog.js";
import { figure } from "../parts/activity.js";
import { h, redraw, svg } from "../parts/dom.js";
import { action, empty, failure } from "../parts/feedback.js";
import { choice, searchBox } from "../parts/form.js";
import { integer, milliseconds, moment, money, tokens, when } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { none, section, table } from "../parts/table.js";
import { tabs } from "../parts/tabs.js";
import { showCall } from "./usage_call.js";
import { days } from "./usage_days.js";
import { speedSection } from "./usage_speed.js";

export const title = "Usage";
const RANGES = [["1d", "24 hours"], ["7d", "7 days"], ["30d", "30 days"], ["90d", "90 days"], ["ytd", "This year"], ["all", "All"]];
const ROWS = 50; // shown at first, and with every "Show more"
const MOST = 500; // that the API returns at once
const STATES = [["all", "All calls"], ["ok", "Answered"], ["error", "Failed"]];

export function show({ host, tools, signal }) {
  let range = "7d";
  const [totals, log, speed] = [h("div"), h("div"), h("div")];
  redraw(host, totals, speed, log);
  const refresh = live({
    signal,
    seconds: 15,
    load: async () => {
      const [history, { dailyTrend }] = await Promise.all([api.get(`/api/usage/history?range=${range}`, signal), api.get(`/api/usage/analytics?range=${range}`, signal)]);
      return [history, dailyTrend, await providerNames()];
    },
    draw: ([history, trend, names]) => redraw(totals, summary(history, trend, names)),
    failed: (error) => redraw(totals, failure(error, () => refresh())),
  });
  const choose = (event) => {
    range = event.target.value;
    refresh();
  };
  redraw(tools, choice("Range", RANGES, range, choose));
  requestLog(log, signal);
  speedSection(speed, signal);
}

function summary(history, trend, names) {
  const named = (id) => names[id] ?? id;
  if (!history.totalRequests) return empty("Nothing in this time", "Once programs use the gateway, their requests, tokens and cost are counted here.");
  const by = (name, label, groups, words) => ({ name, show: () => breakdown(label, Object.entries(groups).map(words)) });
  return h(
    "section",
    { "aria-label": "Totals" },
    h(
      "div",
      { class: "figures" },
      figure(integer(history.totalRequests), "requests"),
      figure(tokens(history.totalPromptTokens), "tokens in"),
      figure(tokens(history.totalCompletionTokens), "tokens out"),
      figure(money(history.totalCost), "cost"),
      history.unpricedRequests > 0 && figure(integer(history.unpricedRequests), ["requests without a known price, not in the cost. ", h("a", { href: "/dashboard/models" }, "Set prices")]),
    ),
    days(trend),
    tabs("Usage by", [
      by("By model", "Model", history.byModel, ([, group]) => ({ ...group, name: group.rawModel, under: named(group.provider) })),
      by("By provider", "Provider", history.byProvider, ([name, group]) => ({ ...group, name: named(name) })),
      by("By account", "Account", perAccount(history.byAccount), ([, group]) => ({ ...group, under: named(group.under) })),
      by("By key", "Key", history.byApiKey, ([, group]) => ({ ...group, name: group.apiKeyName })),
    ]),
  );
}

// The gateway lists usage by account and model; here the models of an account are added up.
function perAccount(groups) {
  const found = {};
  for (const group of Object.values(groups)) {
    const id = `${group.provider} ${group.connectionId ?? group.accountName}`;
    const sum = (found[id] ??= { name: group.accountName, under: group.provider, requests: 0, promptTokens: 0, completionTokens: 0, cost: 0 });
    for (const part of ["requests", "promptTokens", "completionTokens", "cost"]) sum[part] += group[part];
  }
  return found;
}

function breakdown(label, groups) {
  if (!groups.length) return h("p", { class: "muted" }, `No call in this time ${label === "Key" ? "came with a key" : "reached a provider"}.`);
  const most = Math.max(...groups.map((group) => group.requests));
  const columns = [
    { label, cell: ({ name, under }) => [h("code", { class: "breakable" }, name || "–"), under && h("span", { class: "muted under" }, under)] },
    { label: "Requests", class: "num", cell: ({ requests }) => [share(requests / most), integer(requests)] },
    { label: "Tokens in", class: "num", cell: ({ promptTokens }) => tokens(promptTokens) },
    { label: "Tokens out", class: "num", cell: ({ completionTokens }) => tokens(completionTokens) },
    { label: "Cost", class: "num", cell: ({ cost, unpricedRequests }) => (!cost && unpricedRequests ? "no price known" : money(cost)) },
  ];
  return table(`Usage by ${label.toLowerCase()}`, columns, groups.sort((a, b) => b.requests - a.requests));
}

const share = (part) =>
  svg("svg", { class: "share", viewBox: "0 0 60 4", "aria-hidden": "true" }, svg("rect", { x: 60 - 60 * part, width: 60 * part, height: 4, rx: 1, class: "bar" }));

function requestLog(host, signal) {
  let [wanted, following, most] = ["all", true, ROWS];
  const place = h("div");
  const search = searchBox("Search the calls", "Search", () => find(wanted));
  const query = () => new URLSearchParams({ status: wanted, limit: Math.min(most + 1, MOST), search: search.value.trim() });
  const refresh = live({
    signal,
    seconds: 3,
    paused: () => !following,
    load: () => Promise.all([api.get(`/api/usage/call-logs?${query()}`, signal), providerNames()]),
    draw: ([rows, names]) => redraw(place, logTable(rows.slice(0, most), names, wanted === "all" && !search.value.trim()), rows.length > most && h("div", { class: "actions" }, more())),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
  const more = () => h("button", { type: "button", "data-key": "more", click: () => ((most += ROWS), refresh()) }, "Show more");
  const find = (which) => ((wanted = which), (most = ROWS), refresh());
  const filter = choice("Which calls", STATES, wanted, (event) => find(event.target.value));
  const follow = h("input", { type: "checkbox", id: "follow", checked: true, change: (event) => ((following = event.target.checked), following && refresh()) });
  const aside = h("span", { class: "check" }, follow, h("label", { htmlFor: "follow" }, "Follow"));
  redraw(host, section("Request log", { aside, note: "Newest first. Choose a time to see the whole call." }, h("div", { class: "filters" }, search, filter), place));
}

function logTable(rows, names, all) {
  if (!rows.length) return h("p", { class: "muted" }, all ? "No call yet. Each one appears here as soon as it is answered." : "No such call.");
  const columns = [
    { label: "Time", class: "num", cell: ({ id, timestamp }) => action(when(timestamp), () => showCall(id, names), { class: "link num", title: moment(timestamp), "data-key": id, "aria-label": `Call of ${moment(timestamp)}` }) },
    { label: "Status", cell: ({ status }) => lamp(status < 400 ? "ok" : status === 499 ? "off" : "bad", status === 499 ? "499 left" : status) },
    { label: "Model", cell: ({ model, requestedModel, error }) => [h("code", { class: "breakable", title: requestedModel }, model || requestedModel || "–"), error && h("span", { class: "trouble under" }, error)] },
    { label: "Account", cell: ({ provider, account }) => [provider ? (names[provider] ?? provider) : none(), account && h("span", { class: "muted under breakable" }, account)] },
    { label: "Key", cell: ({ apiKeyName }) => (apiKeyName ? h("span", { class: "breakable" }, apiKeyName) : none()) },
    { label: "Tokens", class: "num", cell: ({ tokens: used }) => `${tokens(used.in)} → ${tokens(used.out)}` },
    { label: "Cost", class: "num", cell: ({ cost }) => (cost === null ? none() : money(cost)) },
    { label: "Time taken", class: "num", cell: ({ duration }) => milliseconds(duration) },
  ];
  return table("The newest calls", columns, rows, { compact: true });
}
