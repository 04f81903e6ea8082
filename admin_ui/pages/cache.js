// The cache of answers, and the active conversations.

import { api } from "../api.js";
import { figure } from "../parts/activity.js";
import { providerNames } from "../parts/catalog.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, notice, toast } from "../parts/feedback.js";
import { form } from "../parts/form.js";
import { bytes, integer, plural, span, tokens } from "../parts/format.js";
import { modelField } from "../parts/model_lines.js";
import { live } from "../parts/poll.js";
import { facts, section, table } from "../parts/table.js";

export const title = "Cache";
const BASE = "/api/cache";
const UNLOGGED = "/api/cache/stats"; // of keys whose requests are not logged
const SHOWN = 100; // conversations

export function show({ host, signal }) {
  const answers = h("div");
  const talks = h("div");
  const aside = [action("Forget a model", () => forget(() => refresh())), action("Empty the cache", () => clear(() => refresh()), { class: "danger-text" })];
  redraw(
    host,
    section("Answers kept", { aside, note: "A repeated request with temperature 0 gets the same answer again, at once and for free." }, answers),
    section("Conversations", { note: "The requests of one conversation go to one account, so that the provider's own cache can help." }, talks),
  );
  const refresh = live({
    signal,
    seconds: 5,
    load: () => Promise.all([api.get(BASE, signal), api.get(UNLOGGED, signal)]),
    draw: ([cache, unlogged]) => redraw(answers, kept(cache, unlogged)),
    failed: (error) => redraw(answers, failure(error, () => refresh())),
  });
  const again = live({
    signal,
    seconds: 5,
    load: () => Promise.all([api.get("/api/sessions", signal), api.get("/api/providers", signal), providerNames()]),
    draw: ([{ sessions }, { connections }, providers]) => redraw(talks, conversations(sessions, connections, providers)),
    failed: (error) => redraw(talks, failure(error, () => again())),
  });
}

function kept({ semanticCache: cache, idempotency, config }, unlogged) {
  return [
    !config.semanticCacheEnabled && notice("info", h("p", null, "The cache is switched off: ", h("code", null, "SEMANTIC_CACHE_MAX_SIZE"), " or ", h("code", null, "SEMANTIC_CACHE_TTL_MS"), " is 0.")),
    h(
      "div",
      { class: "figures" },
      figure(integer(cache.hits), "answered from here"),
      figure(`${cache.hitRatePercent} %`, "of lookups"),
      figure(tokens(cache.tokensSaved), "tokens saved"),
    ),
    facts([
      ["In memory", `${integer(cache.memoryEntries)} of ${integer(cache.memoryMaxSize)}`],
      ["Size in memory", bytes(cache.memoryBytes)],
      ["On disk", integer(cache.dbEntries)],
      ["For keys without log", `${integer(unlogged.size)} of ${integer(unlogged.maxSize)}`],
      ["Kept for", span(config.ttlMs / 1000)],
      ["Shared between keys", config.shared ? "yes" : "no"],
      ["Repeats recognised", `${integer(idempotency.activeKeys)} for ${span(idempotency.windowMs / 1000)}`],
    ]),
  ];
}

function clear(refresh) {
  confirm({
    title: "Empty the cache?",
    text: "Every kept answer is deleted. The next requests are sent to the providers again and are billed.",
    yes: "Empty it",
    work: async () => {
      const { cleared } = await api.delete(BASE);
      const { size } = await api.get(UNLOGGED);
      await api.delete(UNLOGGED);
      toast(`${plural(cleared + size, "answer")} deleted.`);
      refresh();
    },
  });
}

async function forget(refresh) {
  const model = await modelField({ name: "model", label: "Model", required: true });
  dialog("Forget a model's answers", (close) => {
    const submit = async (values) => {
      if (!values.model) throw { fields: [{ field: "model", message: "Which model?" }] };
      const { invalidated } = await api.delete(`${BASE}?model=${encodeURIComponent(values.model)}`);
      close();
      toast(`${plural(invalidated, "answer")} deleted.`);
      refresh();
    };
    return form({ fields: [model], yes: "Forget", cancel: close, submit }).element;
  });
}

function conversations(sessions, connections, providers) {
  if (!sessions.length) return h("p", { class: "muted" }, "No conversation is running. Each one appears with its first request.");
  const names = new Map(connections.map(({ id, name, provider }) => [id, { name, provider: providers[provider] ?? provider }]));
  const account = ({ connectionId }) => names.get(connectionId) ?? { name: connectionId ? "deleted" : "–" };
  const columns = [
    { label: "Conversation", cell: ({ sessionId }) => h("code", { class: "breakable" }, sessionId) },
    { label: "Account", cell: (one) => [account(one).name, account(one).provider && h("span", { class: "muted under" }, account(one).provider)] },
    { label: "Requests", class: "num", cell: ({ requestCount }) => integer(requestCount) },
    { label: "Begun", class: "num", cell: ({ createdAt }) => past(createdAt) },
    { label: "Last request", class: "num", cell: ({ lastActive }) => past(lastActive) },
  ];
  const rest = sessions.length - SHOWN;
  return [table("Running conversations", columns, sessions.slice(0, SHOWN)), rest > 0 && h("p", { class: "note" }, `And ${plural(rest, "other")}.`)];
}

const past = (milliseconds) => `${span((Date.now() - milliseconds) / 1000)} ago`;
