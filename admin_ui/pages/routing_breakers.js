// Circuit breakers of providers, locked models, and a button to reset them.

import { api } from "../api.js";
import { providerNames } from "../parts/catalog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, toast } from "../parts/feedback.js";
import { plural } from "../parts/format.js";
import { countdown, lamp } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { section } from "../parts/table.js";

const STATES = { CLOSED: ["ok", "In use"], OPEN: ["bad", "Resting"], HALF_OPEN: ["warn", "Being tried"] };

export function breakersSection(host, signal) {
  const place = h("div");
  const reset = async () => {
    await api.post("/api/resilience/reset");
    toast("All cooldowns are lifted. Every provider is used again.");
    refresh();
  };
  const note = "A provider that fails several times in a row is not used for a while, so that requests do not wait for it.";
  redraw(host, section("Resting providers", { note, aside: action("Use all again", reset) }, place));
  const refresh = live({
    signal,
    seconds: 5,
    load: async () => [await api.get("/api/resilience", signal), await api.get("/api/rate-limits", signal), await providerNames()],
    draw: ([{ circuitBreakers }, { lockouts }, names]) => redraw(place, breakers(circuitBreakers, names), lockouts.length > 0 && locks(lockouts, names)),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

function breakers(list, names) {
  if (!list.length) return h("p", { class: "muted" }, "No provider yet. ", h("a", { href: "/dashboard/providers" }, "Add one"), " to have models to use.");
  return h("ul", { class: "rows" }, list.map((one) => breaker(one, names)));
}

function breaker({ name, state, failureCount, retryAfterMs }, names) {
  const [kind, words] = STATES[state] ?? ["new", state];
  const rest = retryAfterMs > 0 && ["for another ", countdown(Date.now() + retryAfterMs)];
  const failed = failureCount > 0 && `${plural(failureCount, "failure")} in a row`;
  return h("li", null, lamp(kind, names[name] ?? name), h("span", { class: "muted" }, [words, rest, failed].filter(Boolean).map((part, at) => [at > 0 && part !== rest ? " · " : " ", part])));
}

const locks = (list, names) => [
  h("h3", null, "Locked models"),
  h(
    "ul",
    { class: "rows" },
    list.map(({ provider, model, reason, remainingMs }) =>
      h("li", null, lamp("warn", h("code", { class: "breakable" }, model)), h("span", { class: "muted" }, `${names[provider] ?? provider} · ${reason} · another `, countdown(Date.now() + remainingMs))),
    ),
  ),
];
