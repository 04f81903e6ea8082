// The load of each account, and whether it is protected by rate limits.

import { api } from "../api.js";
import { providerNames } from "../parts/catalog.js";
import { h, redraw } from "../parts/dom.js";
import { failure, report, toast } from "../parts/feedback.js";
import { integer, plural, span } from "../parts/format.js";
import { live } from "../parts/poll.js";
import { section, table } from "../parts/table.js";

const BASE = "/api/rate-limits";

export function accountsSection(host, signal) {
  const place = h("div");
  redraw(host, section("Protected accounts", { note: "A protected account is not called faster than its provider allows: requests wait for their turn instead of being refused." }, place));
  const refresh = live({
    signal,
    seconds: 5,
    load: () => Promise.all([api.get(BASE, signal), providerNames()]),
    draw: ([{ connections, defaults }, names]) => redraw(place, connections.length ? [accounts(connections, names, refresh), usual(defaults)] : nothing()),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

const nothing = () => h("p", { class: "muted" }, "No provider account yet. ", h("a", { href: "/dashboard/providers" }, "Add one"), " to protect it.");

const usual = ({ requestsPerMinute, concurrentRequests, minTimeBetweenRequests }) =>
  h(
    "p",
    { class: "note" },
    `If the provider reports no limits: ${plural(requestsPerMinute, "request")} a minute, ${integer(concurrentRequests)} at once, ${integer(minTimeBetweenRequests)} ms between them. `,
    h("a", { href: "/dashboard/routing" }, "Change that"),
  );

function accounts(connections, names, refresh) {
  const columns = [
    { label: "Account", cell: ({ provider, name }) => [names[provider] ?? provider, h("span", { class: "muted under" }, name)] },
    { label: "Running", class: "num", cell: ({ running }) => integer(running) },
    { label: "Waiting", class: "num", cell: ({ queued }) => integer(queued) },
    { label: "Reported by the provider", cell: ({ learned }) => said(learned) },
    { label: "Protected", class: "num", cell: (connection) => protection(connection, names, refresh) },
  ];
  const fullName = ({ provider, name }) => `${names[provider] ?? provider} ${name}`;
  return table("Accounts and their limits", columns, connections.sort((a, b) => fullName(a).localeCompare(fullName(b), "en", { numeric: true })));
}

function said(learned) {
  const limits = (learned?.limits ?? []).filter(({ limit }) => limit !== null);
  if (!limits.length) return h("span", { class: "muted" }, "nothing yet");
  return limits.map(({ kind, limit, remaining, resetMs }) =>
    h("div", null, `${integer(remaining)} of ${integer(limit)} ${kind}`, resetMs > 0 && h("span", { class: "muted" }, ` for ${span(resetMs / 1000)}`)),
  );
}

function protection({ connectionId, provider, name, rateLimitProtection }, names, refresh) {
  const change = async ({ target }) => {
    try {
      await api.post(BASE, { connectionId, enabled: target.checked });
      toast(target.checked ? `${name} is protected.` : `${name} is no longer protected.`);
    } catch (error) {
      target.checked = !target.checked;
      report(error);
    }
    refresh();
  };
  return h("input", { type: "checkbox", id: `protect-${connectionId}`, checked: rateLimitProtection, change, "data-key": `protect ${connectionId}`, "aria-label": `Protect ${names[provider] ?? provider}, ${name}` });
}
