// The proxies by level, and the resulting proxy of each account.

import { api } from "../api.js";
import { card, cardButtons, cards } from "../parts/cards.js";
import { providerChoices } from "../parts/catalog.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, empty, failure, toast } from "../parts/feedback.js";
import { plural } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { outcome, PROXY } from "../parts/proxy_inputs.js";
import { none, section, table } from "../parts/table.js";
import { editProxy } from "./proxies_form.js";

const LEVELS = { global: "Everything", provider: "Provider", combo: "Combo", key: "Account" };
const REASONS = { key: "its own proxy", combo: "a combo it is part of", provider: "its provider", global: "the proxy for everything", environment: "the environment" };
const SHOWN = 60; // accounts: each needs a request of its own

export function levelsSection(host, tools, signal) {
  const place = h("div");
  const ways = h("div");
  redraw(host, place, ways);
  const refresh = live({
    signal,
    load: () => load(signal),
    draw: ({ config, things, accounts, resolved }) => {
      const entries = listed(config, things);
      const add = () => editProxy(null, things, refresh);
      const note = "An account's own proxy takes precedence over that of a combo, a provider, and everything; HTTP_PROXY and the like come last.";
      redraw(place, entries.length ? section("What goes through a proxy", { note }, cards(entries.map((entry) => one(entry, things, refresh)))) : nothing(add));
      redraw(tools, entries.length > 0 && action("Add a proxy", add, { class: "primary", "data-key": "add" }));
      redraw(ways, accounts.length > 0 && section("The proxy of each account", {}, waysTable(accounts, resolved, things)));
    },
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

async function load(signal) {
  const [config, { connections }, { combos }, providers] = await Promise.all([
    api.get(PROXY, signal), api.get("/api/providers", signal), api.get("/api/combos", signal), providerChoices(),
  ]);
  const sorted = [...connections].sort((a, b) => accountName(a, providers).localeCompare(accountName(b, providers), "en", { numeric: true }));
  const accounts = sorted.slice(0, SHOWN);
  const resolved = await Promise.all(accounts.map(({ id }) => api.get(`${PROXY}?resolve=${encodeURIComponent(id)}`, signal)));
  return { config, accounts: sorted, resolved, things: { connections, combos, providers } };
}

const nothing = (add) =>
  empty(
    "No proxy yet",
    "Calls go directly to the providers, or through the environment's HTTP_PROXY. A proxy can be chosen for everything, for one provider, for a combo or for a single account.",
    action("Add a proxy", add, { class: "primary" }),
  );

function listed({ global: everything, providers, combos, keys }, things) {
  const some = (level, map) => Object.entries(map).map(([id, proxy]) => ({ level, id, proxy, name: nameOf(level, id, things) }));
  return [
    ...(everything ? [{ level: "global", id: "", proxy: everything, name: "All providers" }] : []),
    ...some("provider", providers), ...some("combo", combos), ...some("key", keys),
  ];
}

// A deleted provider, combo or account is shown by its id, so that its proxy can be removed.
function nameOf(level, id, { connections, combos, providers }) {
  const account = level === "key" && connections.find((one) => one.id === id);
  if (account) return accountName(account, providers);
  const found = level === "combo" ? combos.find((one) => one.id === id || one.name === id) : providers.find((one) => one.id === id || one.alias === id);
  return found?.name ?? id;
}

const accountName = ({ provider, name }, providers) => `${providers.find((one) => one.id === provider)?.name ?? provider}: ${name}`;
const address = ({ type, host, port }) => `${type}://${host.includes(":") ? `[${host}]` : host}:${port}`;

function one(entry, things, refresh) {
  const { level, id, proxy, name } = entry;
  const button = cardButtons(`${level} ${id}`, name);
  const actions = [
    button("Test", () => test(name, proxy)),
    button("Edit", () => editProxy(entry, things, refresh)),
    button("Remove", () => remove(entry, refresh), { class: "quiet grave" }),
  ];
  return card(
    { state: lamp("ok", LEVELS[level]), actions },
    h("strong", { class: "breakable" }, name),
    h("p", { class: "muted" }, h("code", { class: "breakable" }, address(proxy)), proxy.username && ` as ${proxy.username}`),
  );
}

async function test(name, proxy) {
  const said = await outcome(api.post(`${PROXY}/test`, { proxy }));
  dialog(`Test of the proxy for ${name}`, (close) => [said, h("div", { class: "actions end" }, h("button", { type: "button", class: "primary", autofocus: true, click: close }, "Done"))]);
}

function remove({ level, id, name }, refresh) {
  confirm({
    title: `Remove the proxy for ${name}?`,
    text: "From the next call on, the proxy of a wider level is used, or the provider is called directly.",
    yes: "Remove",
    work: async () => {
      await api.delete(`${PROXY}?level=${level}&id=${encodeURIComponent(id)}`);
      toast("Removed.");
      refresh();
    },
  });
}

function waysTable(accounts, resolved, { providers }) {
  const rows = resolved.map((way, at) => ({ ...way, name: accountName(accounts[at], providers) }));
  const columns = [
    { label: "Account", cell: ({ name }) => name },
    { label: "Goes", cell: ({ proxy }) => (proxy ? ["through ", h("code", { class: "breakable" }, address(proxy))] : h("span", { class: "muted" }, "directly")) },
    { label: "Because of", cell: ({ level }) => REASONS[level] ?? none() },
  ];
  const rest = accounts.length - rows.length;
  return [table("Accounts and their proxies", columns, rows), rest > 0 && h("p", { class: "note" }, `And ${plural(rest, "other")}.`)];
}
