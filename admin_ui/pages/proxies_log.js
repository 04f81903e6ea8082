// The newest calls, each with the proxy that it used.

import { api } from "../api.js";
import { providerNames } from "../parts/catalog.js";
import { confirm } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, toast } from "../parts/feedback.js";
import { choice } from "../parts/form.js";
import { milliseconds, moment, when } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { section, table } from "../parts/table.js";

const BASE = "/api/usage/proxy-logs";
const STATES = [["all", "All calls"], ["success", "Answered"], ["error", "Failed"], ["timeout", "Timed out"]];
const LEVELS = { key: "account", combo: "combo", provider: "provider", global: "everything", environment: "environment" };
const LAMPS = { success: ["ok", "Answered"], timeout: ["warn", "Timed out"] };

export function logSection(host, signal) {
  let wanted = "all";
  const place = h("div");
  const refresh = live({
    signal,
    seconds: 5,
    load: () => Promise.all([api.get(`${BASE}?limit=100&status=${wanted}`, signal), providerNames()]),
    draw: ([rows, names]) => redraw(place, rows.length ? logTable(rows, names) : h("p", { class: "muted" }, wanted === "all" ? "No call yet." : "No such call among the newest.")),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
  const filter = choice("Which calls", STATES, wanted, (event) => ((wanted = event.target.value), refresh()));
  const aside = [filter, action("Empty the log", () => clear(() => refresh()))];
  redraw(host, section("Calls and their proxies", { aside, note: "The newest 100 of the 500 that are kept." }, place));
}

function logTable(rows, names) {
  const columns = [
    { label: "Time", class: "num", cell: ({ timestamp }) => h("time", { datetime: timestamp, title: moment(timestamp) }, when(timestamp)) },
    { label: "Status", cell: ({ status }) => lamp(...(LAMPS[status] ?? ["bad", "Failed"])) },
    { label: "Model", cell: ({ targetUrl, provider, error }) => [h("code", { class: "breakable" }, modelOf(targetUrl, provider)), error && h("span", { class: "trouble under" }, error)] },
    { label: "Account", cell: ({ provider, account }) => [names[provider] ?? (provider || "–"), account && h("span", { class: "muted under" }, account)] },
    { label: "Proxy", cell: ({ proxy, level }) => proxy ? [h("code", { class: "breakable" }, `${proxy.host}:${proxy.port}`), h("span", { class: "muted under" }, `chosen for ${LEVELS[level] ?? level}`)] : h("span", { class: "muted" }, "none") },
    { label: "Time taken", class: "num", cell: ({ latencyMs }) => milliseconds(latencyMs) },
  ];
  return table("The newest calls and their proxies", columns, rows, { compact: true });
}

// The provider is shown beside it, by a better name than its id.
const modelOf = (target, provider) => (target?.startsWith(`${provider}/`) ? target.slice(provider.length + 1) : target) || "–";

function clear(refresh) {
  confirm({
    title: "Empty the log of calls and their proxies?",
    text: "Only this list is deleted; the calls stay in the usage log.",
    yes: "Empty it",
    work: async () => {
      await api.delete(BASE);
      toast("The log is empty.");
      refresh();
    },
  });
}
