// The current state of the gateway, and how to connect a program to it.

import { api } from "../api.js";
import { activity } from "../parts/activity.js";
import { providerNames } from "../parts/catalog.js";
import { codeBlock, copyButton } from "../parts/copy.js";
import { h, redraw } from "../parts/dom.js";
import { failure, notice } from "../parts/feedback.js";
import { plural, span } from "../parts/format.js";
import { lamp, stateOf } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { KEY, snippets } from "../parts/snippets.js";
import { section } from "../parts/table.js";
import { tabs } from "../parts/tabs.js";

export const title = "Overview";

export function show({ host, tools, signal }) {
  const hint = h("div");
  const place = h("div");
  const clients = h("div");
  const recent = h("div");
  const calls = h("div");
  const accounts = h("div");
  redraw(
    host,
    hint,
    place,
    section("Last ten minutes", {}, recent),
    h("div", { class: "pair" }, section("Live calls", {}, calls), section("Providers", {}, accounts)),
    section("Connect a program", {}, clients),
  );
  connect({ hint, place, clients }, signal);
  live({
    signal,
    seconds: 5,
    load: () => api.get("/api/monitoring/health", signal),
    draw: (health) => redraw(tools, lamp("ok", "Running"), h("span", { class: "muted num" }, `${health.version} · up ${span(health.uptime ?? 0)}`)),
    keep: false,
    failed: () => redraw(tools, lamp("bad", "No answer")),
  });
  const refresh = live({
    signal,
    seconds: 3,
    load: () => Promise.all([api.get("/api/usage/history?range=1d", signal), providerNames()]),
    draw: ([history, names]) => {
      redraw(recent, activity(history.last10Minutes));
      redraw(calls, liveCalls(history.activeRequests, names));
    },
    failed: (error) => redraw(recent, failure(error, () => refresh())),
  });
  live({
    signal,
    seconds: 10,
    load: () => api.get("/api/providers", signal),
    draw: ({ connections }) => redraw(accounts, accountSummary(connections)),
  });
}

// The next steps, the most important first, and settings for clients with a model that exists here.
async function connect({ hint, place, clients }, signal) {
  const [settings, models, providers, keys] = await Promise.all([
    api.get("/api/settings", signal).catch(() => ({ hasPassword: true })),
    api.get("/v1/models", signal).catch(() => ({ data: [] })),
    api.get("/api/providers", signal).catch(() => null),
    api.get("/api/keys", signal).catch(() => null),
  ]);
  if (signal.aborted) return;
  const origin = (settings.baseUrl || location.origin).replace(/\/(v1)?\/*$/, "");
  redraw(hint, !settings.hasPassword && passwordHint(), providers && keys && steps(providers.connections, keys.keys));
  const names = models.data.filter((model) => model.type === "model" || model.type === undefined).map((model) => model.id);
  redraw(place, address(origin));
  const working = new Set(providers?.connections.filter((one) => stateOf(one).kind === "ok").map((one) => one.provider));
  const first = models.data.find((model) => working.has(model.owned_by) && names.includes(model.id));
  redraw(clients, clientTabs(origin, names, first?.id ?? names[0] ?? "provider/model"));
}

const passwordHint = () =>
  notice(
    "info",
    h("p", null, h("strong", null, "No password is set. "), "Anyone who uses this machine can change everything here; other machines cannot."),
    h("a", { class: "button", href: "/dashboard/settings" }, "Set a password"),
  );

function steps(connections, keys) {
  if (connections.length && keys.length) return null;
  const step = (done, text, href, link) =>
    h("li", { class: done ? "done" : null }, lamp(done ? "ok" : "new", text), !done && h("a", { href }, link));
  return h(
    "section",
    { class: "steps" },
    h("h2", null, "First steps"),
    h(
      "ol",
      null,
      step(connections.length > 0, "Add a provider, so that there are models to use", "/dashboard/providers", "Add a provider"),
      step(keys.length > 0, "Create a key for each program", "/dashboard/keys", "Create a key"),
    ),
  );
}

const address = (origin) =>
  h(
    "div",
    { class: "address" },
    h("span", { class: "label" }, "Base URL for your programs"),
    h("code", { class: "big" }, `${origin}/v1`),
    copyButton(`${origin}/v1`, "Copy the base URL"),
  );

function clientTabs(origin, names, model) {
  const place = h("div");
  const draw = () =>
    redraw(
      place,
      tabs(
        "Clients",
        snippets(origin, model).map(({ name, where, text }) => ({ name, show: () => [h("p", { class: "note" }, where), codeBlock(text, `settings for ${name}`)] })),
      ),
    );
  const choose = h(
    "select",
    { id: "snippet-model", change: (event) => ((model = event.target.value), draw()) },
    names.map((name) => h("option", { value: name, selected: name === model }, name)),
  );
  draw();
  const note = h("p", { class: "note" }, "Put one of your ", h("a", { href: "/dashboard/keys" }, "keys"), " where it says ", h("code", null, KEY), ".");
  const picker = names.length > 1 && h("div", { class: "inline-field" }, h("label", { htmlFor: "snippet-model" }, "Model"), choose);
  return [picker, place, note];
}

function liveCalls(active, names) {
  if (!active.length) return h("p", { class: "muted" }, "Nothing is running right now. Calls appear here while they are answered.");
  return h(
    "ul",
    { class: "rows" },
    active.map(({ model, provider, account, count }) =>
      h("li", null, lamp("busy", h("code", { class: "breakable" }, model)), h("span", { class: "muted" }, `${names[provider] ?? provider} · ${account}`), h("span", { class: "num" }, `× ${count}`)),
    ),
  );
}

const WORDS = [["ok", "working"], ["warn", "cooling down or recovering"], ["bad", "failing"], ["new", "not tried yet"], ["off", "disabled"]];

function accountSummary(connections) {
  if (!connections.length) {
    return h("p", { class: "muted" }, "No provider account yet. ", h("a", { href: "/dashboard/providers" }, "Add one"), " to have models to use.");
  }
  const kinds = connections.map((connection) => stateOf(connection).kind);
  const counted = WORDS.map(([kind, words]) => [kind, words, kinds.filter((one) => one === kind).length]).filter(([, , count]) => count);
  return [
    h("ul", { class: "rows" }, counted.map(([kind, words, count]) => h("li", null, lamp(kind, `${count} ${words}`)))),
    h("p", { class: "note" }, `${plural(connections.length, "account")} in all. `, h("a", { href: "/dashboard/providers" }, "Show them")),
  ];
}
