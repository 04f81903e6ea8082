// Circuit breakers of providers, and resting models, with buttons to use them again.

import { api } from "../api.js";
import { providerNames } from "../parts/catalog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, toast } from "../parts/feedback.js";
import { plural } from "../parts/format.js";
import { countdown, lamp } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { section } from "../parts/table.js";

const FREE = "/api/models/availability";
const ALL = "*";
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
    load: async () => [...(await Promise.all(["/api/resilience", "/api/rate-limits", FREE].map((path) => api.get(path, signal)))), await providerNames()],
    draw: ([{ circuitBreakers }, { lockouts }, { models }, names]) => {
      const closed = unique([...lockouts, ...models]);
      redraw(place, breakers(circuitBreakers, names), closed.length > 0 && locks(closed, names, refresh));
    },
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

// A model of several accounts is listed once, with the longest rest.
function unique(list) {
  const found = new Map();
  for (const one of [...list].sort((a, b) => a.remainingMs - b.remainingMs)) found.set(`${one.provider} ${one.model}`, one);
  return [...found.values()];
}

function locks(list, names, refresh) {
  const free = (provider, model) => async () => {
    await api.post(FREE, { action: "clear", provider, model });
    toast("It is used again.");
    refresh();
  };
  const row = ({ provider, model, reason, remainingMs }) => {
    const who = names[provider] ?? provider;
    const what = model === ALL ? `all models of ${who}` : model;
    return h(
      "li",
      null,
      lamp("warn", model === ALL ? `All models of ${who}` : h("code", { class: "breakable" }, model)),
      h("span", { class: "muted" }, [model !== ALL && who, reason].filter(Boolean).join(" · "), " · another ", countdown(Date.now() + remainingMs)),
      action("Use again", free(provider, model), { class: "link", "data-key": `free ${provider} ${model}`, "aria-label": `Use ${what} again` }),
    );
  };
  return [h("h3", null, "Resting models"), h("ul", { class: "rows" }, list.map(row))];
}
