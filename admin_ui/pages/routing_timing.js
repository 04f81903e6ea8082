// The cooldowns of failing accounts and providers, and the limits of protected accounts.

import { api } from "../api.js";
import { h, redraw } from "../parts/dom.js";
import { toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { once } from "../parts/once.js";
import { section } from "../parts/table.js";

const BASE = "/api/resilience";
const PROFILES = { apikey: "Accounts with a key", oauth: "Accounts with a login", local: "Your own machine" };
const REST = [
  ["transientCooldown", "Rest after an error (ms)"],
  ["rateLimitCooldown", "Rest after a rate limit (ms)"],
  ["maxBackoffLevel", "Times the rest may double"],
  ["circuitBreakerThreshold", "Failures until a provider rests"],
  ["circuitBreakerReset", "Rest of a provider (ms)"],
];
const LIMITS = [
  ["requestsPerMinute", "Requests a minute"],
  ["minTimeBetweenRequests", "Time between requests (ms)"],
  ["concurrentRequests", "Requests at once"],
];

export function timingSection(host, signal) {
  const place = h("div");
  redraw(host, section("Rests and limits", { note: "A rest of 0 after a rate limit means: as long as the provider says. Changes apply at once." }, place));
  once(place, signal, () => api.get(BASE, signal), timingForm);
}

function timingForm({ profiles, defaults }) {
  const names = Object.keys(PROFILES).filter((name) => profiles[name]);
  const group = (prefix, title, rows, values, min, note) => ({
    title,
    note,
    fields: rows.map(([name, label]) => field({ name: `${prefix}.${name}`, label, kind: "number", min, value: values[name] })),
  });
  const groups = [
    ...names.map((name) => group(name, PROFILES[name], REST, profiles[name], 0)),
    group("defaults", "Protected accounts", LIMITS, defaults, 1, h("p", { class: "hint" }, "For the accounts that are protected on the page ", h("a", { href: "/dashboard/limits" }, "Limits"), ".")),
  ];
  const fields = groups.flatMap((one) => one.fields);
  const body = groups.map(({ title, note, fields: parts }) =>
    h("div", { class: "set", role: "group", "aria-label": title }, h("h3", null, title), h("div", { class: "set-fields" }, note, h("div", { class: "numbers" }, parts.map((part) => part.element)))),
  );
  const part = (values, prefix, rows) => Object.fromEntries(rows.map(([name]) => [name, values[`${prefix}.${name}`]]));
  const submit = async (values) => {
    const empty = fields.filter((one) => one.read() === undefined).map((one) => ({ field: one.name, message: "A number is needed here." }));
    if (empty.length) throw { fields: empty };
    await api.put(BASE, { profiles: Object.fromEntries(names.map((name) => [name, part(values, name, REST)])), defaults: part(values, "defaults", LIMITS) });
    toast("Saved. It applies from now on.");
  };
  return form({ fields, body, yes: "Save", submit }).element;
}
