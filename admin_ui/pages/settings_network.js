// The filter of client addresses, and the outbound proxy.

import { api } from "../api.js";
import { h, redraw } from "../parts/dom.js";
import { action, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { countdown, lamp } from "../parts/lamp.js";
import { once } from "../parts/once.js";
import { section } from "../parts/table.js";
import { proxyForm } from "./settings_proxy.js";

const FILTER = "/api/settings/ip-filter";
const MODES = [
  ["blacklist", "All except the refused"],
  ["whitelist", "Only the admitted"],
  ["whitelist-priority", "All except the refused; the admitted always"],
];

export function networkSection(host, signal) {
  const filter = h("div");
  const proxy = h("div");
  redraw(
    host,
    section("Addresses that may connect", { note: "For all requests to this gateway, including this page. A change that would lock you out is refused." }, filter),
    section("Outbound proxy", { note: "For requests to providers." }, proxy),
  );
  loadFilter(filter, signal);
  once(proxy, signal, () => api.get("/api/settings/proxy", signal), proxyForm);
}

const loadFilter = (host, signal) =>
  once(host, signal, () => api.get(FILTER, signal), (filter) => [filterForm(filter), filter.tempBans.length > 0 && bans(filter.tempBans, () => loadFilter(host, signal))]);

function filterForm({ enabled, mode, blacklist, whitelist }) {
  const hint = "One per line: 192.0.2.7, 192.0.2.0/24 or 10.0.*.*";
  const fields = [
    field({ name: "enabled", label: "Filter by address", kind: "check", value: enabled }),
    field({ name: "mode", label: "Who may connect", kind: "select", value: mode, options: MODES }),
    field({ name: "blacklist", label: "Refused", kind: "lines", optional: true, value: blacklist, hint }),
    field({ name: "whitelist", label: "Admitted", kind: "lines", optional: true, value: whitelist, hint }),
  ];
  const submit = async (values) => {
    await api.put(FILTER, values);
    toast("Saved. It applies from now on.");
  };
  return form({ fields, yes: "Save the addresses", submit }).element;
}

const bans = (list, done) =>
  h(
    "div",
    { class: "switch" },
    h("h3", null, "Refused for a while"),
    h(
      "ul",
      { class: "rows" },
      list.map(({ ip, reason, until }) =>
        h(
          "li",
          null,
          lamp("warn", h("code", null, ip)),
          h("span", { class: "muted" }, `${reason} · another `, countdown(Date.parse(until))),
          action("Admit again", () => admit(ip, done), { class: "quiet", "aria-label": `Admit ${ip} again` }),
        ),
      ),
    ),
  );

async function admit(ip, done) {
  await api.put(FILTER, { removeBan: ip });
  toast(`${ip} may connect again.`);
  done();
}
