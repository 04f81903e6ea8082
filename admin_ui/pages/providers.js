// The accounts at providers: their states, their order, and all actions on them.

import { api, at } from "../api.js";
import { providerChoices } from "../parts/catalog.js";
import { confirm } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, empty, failure, toast } from "../parts/feedback.js";
import { filtered } from "../parts/filtered.js";
import { ago, milliseconds, plural, when } from "../parts/format.js";
import { connectionLamp, stateOf } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { addProvider, editProvider } from "./provider_form.js";
import { showModels } from "./provider_models.js";

export const title = "Providers";
const BASE = "/api/providers";

export function show({ host, tools, signal }) {
  let connections = [];
  let known = new Map();
  let minute = 0; // redraw each minute even when nothing has changed, for times like "2 min ago"
  const list = h("div");
  const nameOf = ({ provider, name }) => `${known.get(provider)?.name ?? provider} ${name}`;
  const show = filtered(list, "Filter the accounts", nameOf, (some) => (some.length ? groups(connections, new Set(some.map((one) => one.provider)), known, refresh) : nothing(add)));
  const refresh = live({
    signal,
    seconds: 5,
    load: () => Promise.all([api.get(BASE, signal), providerChoices(), minute]),
    draw: ([answer, providers]) => {
      connections = answer.connections;
      known = new Map(providers.map((provider) => [provider.id, provider]));
      if (!list.isConnected) redraw(host, list);
      show(connections);
      redraw(tools, toolbar(connections, add, refresh));
    },
    failed: (error) => redraw(host, failure(error, () => refresh())),
  });
  const timer = setInterval(() => (minute += 1), 60_000);
  signal.addEventListener("abort", () => clearInterval(timer));

  async function add() {
    const taken = (provider) => connections.filter((one) => one.provider === provider).map((one) => one.name);
    addProvider({ providers: await providerChoices(), taken, done: added });
  }

  // A new account is tested at once: the user wants to know next whether it works.
  async function added(connection) {
    await refresh();
    await test(connection).catch(() => {});
    refresh();
  }
}

const nothing = (add) =>
  empty(
    "No provider yet",
    "A provider answers the requests that programs send here. Add the first one with the API key that you have from it, or a server that runs on your own machine.",
    action("Add a provider", add, { class: "primary" }),
  );

function toolbar(connections, add, refresh) {
  const cooling = connections.some((one) => ["warn", "bad"].includes(stateOf(one).kind));
  return [
    cooling && action("Lift cooldowns", () => lift(refresh), { "data-key": "lift", title: "End every cooldown and use the providers again" }),
    connections.length > 1 && action("Test all", () => testAll(refresh), { "data-key": "test-all" }),
    connections.length > 0 && action("Add a provider", add, { class: "primary", "data-key": "add" }),
  ];
}

async function lift(refresh) {
  await api.delete("/api/monitoring/health");
  toast("All cooldowns are lifted.");
  refresh();
}

async function testAll(refresh) {
  const { summary } = await api.post(`${BASE}/test-batch`, { mode: "all" });
  if (summary.total === 0) toast("No enabled account to test.");
  else toast(`${summary.passed} of ${plural(summary.total, "account")} work.`, summary.failed ? "bad" : "ok");
  refresh();
}

async function test(connection) {
  const result = await api.post(at(BASE, connection.id, "test"));
  if (result.valid) toast(`${connection.name} works (${milliseconds(result.latencyMs)}).`);
  else toast(`${connection.name}: ${result.error || "it does not work"}`, "bad");
}

async function renew({ provider, id, name }) {
  const place = encodeURIComponent(provider);
  await api.post(`/api/oauth/${place}/refresh`, { connectionId: id });
  toast(`${name} has a new token.`);
}

// All accounts of the *wanted* providers, because their order matters.
function groups(connections, wanted, known, refresh) {
  const byProvider = groupBy(connections.filter((one) => wanted.has(one.provider)));
  const name = (id) => known.get(id)?.name ?? id;
  return [...byProvider]
    .sort(([a], [b]) => name(a).localeCompare(name(b)))
    .map(([id, members]) => group(known.get(id) ?? { id, name: id, alias: id }, members, refresh));
}

function groupBy(connections) {
  const parts = new Map();
  for (const one of connections) parts.set(one.provider, [...(parts.get(one.provider) ?? []), one]);
  return parts;
}

function group(provider, members, refresh) {
  return h(
    "section",
    { class: "group" },
    h(
      "header",
      { class: "section-head" },
      h("h2", null, provider.name),
      h("span", { class: "muted" }, "models are called ", h("code", null, `${provider.alias}/…`)),
    ),
    h("ul", { class: "cards" }, members.map((one, place) => card(one, provider, members, place, refresh))),
  );
}

function card(connection, provider, members, place, refresh) {
  const { id, name, isActive } = connection;
  const full = `${provider.name}, ${name}`;
  const button = (label, work, more = {}) =>
    action(label, work, { class: "quiet", "data-key": `${id} ${label}`, "aria-label": `${label} ${full}`, ...more });
  const change = async (body) => {
    await api.patch(at(BASE, id), body);
    refresh();
  };
  return h(
    "li",
    { class: isActive ? "card" : "card off" },
    h("div", { class: "card-state" }, connectionLamp(connection)),
    h("div", { class: "card-main" }, h("strong", null, name), h("p", { class: "muted" }, details(connection, members.length > 1)), trouble(connection)),
    h(
      "div",
      { class: "actions" },
      members.length > 1 && order(members, place, refresh, full),
      button("Models", () => showModels(connection, provider)),
      button("Test", async () => (await test(connection), refresh())),
      connection.authType === "oauth" && button("Renew", async () => (await renew(connection), refresh())),
      button(isActive ? "Disable" : "Enable", () => change({ isActive: !isActive }), { "data-key": `${id} switch` }),
      button("Edit", () => editProvider({ connection, title: name, done: refresh })),
      button("Delete", () => remove(connection, full, refresh), { class: "quiet grave" }),
    ),
  );
}

function details({ priority, defaultModel, expiresAt, lastTested, lastUsedAt, lastError, testStatus, providerSpecificData }, ranked) {
  const known = [
    ranked && `priority ${priority}`,
    defaultModel && `default model ${defaultModel}`,
    providerSpecificData?.baseUrl,
    expiresAt && `token valid until ${when(expiresAt)}`,
    lastUsedAt && `used ${ago(lastUsedAt)}`,
    lastTested && `tested ${ago(lastTested)}`,
  ];
  return known.filter(Boolean).join(" · ") || (testStatus === "unknown" && !lastError && "not used yet");
}

function trouble({ lastError, lastErrorAt, errorCode }) {
  if (!lastError) return null;
  const code = errorCode && !lastError.includes(errorCode) ? `${errorCode}: ` : "";
  return h("p", { class: "trouble" }, code, lastError, lastErrorAt && h("span", { class: "muted" }, ` · ${ago(lastErrorAt)}`));
}

// Moving down means moving the next one up: among equal priorities the one changed last comes first.
function order(members, place, refresh, full) {
  const lift = (mover, target) => async () => {
    await api.patch(at(BASE, mover.id), { priority: target.priority });
    refresh();
  };
  const [me, before, after] = [members[place], members[place - 1], members[place + 1]];
  const arrow = (sign, words, work) =>
    action(sign, work ?? (() => {}), { class: "quiet arrow", disabled: !work, "aria-label": `${words}: ${full}`, title: words, "data-key": `${me.id} ${words}` });
  return [arrow("↑", "Use earlier", before && lift(me, before)), arrow("↓", "Use later", after && lift(after, me))];
}

function remove({ id }, full, refresh) {
  confirm({
    title: "Delete this account?",
    text: `${full}: the stored key is deleted with it. Its usage stays in the history.`,
    yes: "Delete",
    work: async () => {
      await api.delete(at(BASE, id));
      toast("Deleted.");
      refresh();
    },
  });
}
