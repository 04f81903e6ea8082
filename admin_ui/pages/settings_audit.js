// The newest entries of the audit log.

import { api } from "../api.js";
import { h, redraw } from "../parts/dom.js";
import { failure } from "../parts/feedback.js";
import { moment } from "../parts/format.js";
import { live } from "../parts/poll.js";
import { none, section, table } from "../parts/table.js";

const MORE = 20; // shown at first, and with every "Show more"
const MOST = 1000; // that the API returns at once

export function auditSection(host, signal) {
  const place = h("div");
  let most = MORE;
  redraw(host, section("What was changed", { note: "Logins and changes, newest first. Secrets are never logged." }, place));
  const more = () => h("button", { type: "button", "data-key": "more audit", click: () => ((most += MORE), refresh()) }, "Show more");
  const refresh = live({
    signal,
    seconds: 30,
    load: () => api.get(`/api/compliance/audit-log?limit=${most}`, signal),
    draw: (rows) => redraw(place, rows.length ? log(rows) : h("p", { class: "muted" }, "Nothing yet."), rows.length === most && most < MOST && h("div", { class: "actions" }, more())),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

function log(rows) {
  const columns = [
    { label: "When", class: "num", cell: ({ timestamp }) => h("time", { datetime: timestamp }, moment(timestamp)) },
    { label: "What", cell: ({ action, target }) => [action, target && h("span", { class: "muted under breakable" }, target)] },
    { label: "Who", cell: ({ actor, ip_address: address }) => [actor, address && h("span", { class: "muted under" }, address)] },
    { label: "Details", cell: ({ details }) => (details ? h("span", { class: "muted breakable" }, words(details)) : none()) },
  ];
  return table("Audit log", columns, rows);
}

const words = (details) => Object.entries(details).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ");
