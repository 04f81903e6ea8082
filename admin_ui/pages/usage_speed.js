// How long answers take, by provider.

import { api } from "../api.js";
import { providerNames } from "../parts/catalog.js";
import { h, redraw } from "../parts/dom.js";
import { failure } from "../parts/feedback.js";
import { choice } from "../parts/form.js";
import { integer, milliseconds } from "../parts/format.js";
import { live } from "../parts/poll.js";
import { section, table } from "../parts/table.js";

const SPANS = [["300000", "5 minutes"], ["3600000", "An hour"], ["86400000", "A day"]];

export function speedSection(host, signal) {
  let span = "3600000";
  const place = h("div");
  const refresh = live({
    signal,
    seconds: 15,
    load: () => Promise.all([api.get(`/api/telemetry/summary?windowMs=${span}`, signal), providerNames()]),
    draw: ([summary, names]) => redraw(place, summary.count ? speeds(summary, names) : h("p", { class: "muted" }, "No call in this time.")),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
  const aside = choice("Time", SPANS, span, (event) => ((span = event.target.value), refresh()));
  redraw(host, section("Time taken", { aside, note: "From a request to the end of its answer, for the newest thousand calls since the gateway started." }, place));
}

function speeds({ providers, ...all }, names) {
  const rows = Object.entries(providers).map(([id, one]) => ({ ...one, name: (names[id] ?? id) || "Refused before" })).sort((a, b) => b.count - a.count);
  const time = (label, name) => ({ label, class: "num", cell: (row) => milliseconds(row[name]) });
  const columns = [
    { label: "Provider", cell: ({ name }) => name },
    { label: "Calls", class: "num", cell: ({ count }) => integer(count) },
    time("Half within", "p50"),
    time("95 % within", "p95"),
    time("99 % within", "p99"),
  ];
  const sum = { ...all, name: h("strong", null, "All") };
  return table("Time taken by provider", columns, rows.length > 1 ? [...rows, sum] : rows);
}
