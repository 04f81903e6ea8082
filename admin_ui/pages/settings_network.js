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
const HOUR = 3_600_000;
const SPANS = [[600_000, "10 minutes"], [HOUR, "An hour"], [24 * HOUR, "A day"], [168 * HOUR, "A week"]].map(([time, words]) => [String(time), words]);
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

function loadFilter(host, signal) {
  const bans = h("div", { class: "switch" });
  const draw = ({ tempBans }) => redraw(bans, h("h3", null, "Refused for a while"), tempBans.length > 0 && banList(tempBans, draw), banForm(draw));
  once(host, signal, () => api.get(FILTER, signal), (filter) => (draw(filter), [filterForm(filter), bans]));
}

function filterForm({ enabled, mode, blacklist, whitelist }) {
  const hint = "One per line: 192.0.2.7, 192.0.2.0/24 or 10.0.*.*";
  const fields = [
    field({ name: "enabled", label: "Filter by address", kind: "check", value: enabled }),
    field({ name: "mode", label: "Who may connect", kind: "select", value: mode, options: MODES }),
    field({ name: "blacklist", label: "Refused", kind: "lines", optional: true, value: blacklist, hint }),
    field({ name: "whitelist", label: "Admitted", kind: "lines", optional: true, value: whitelist, hint }),
  ];
  const submit = async (values, changes) => {
    if (Object.keys(changes).length) await api.put(FILTER, changes);
    toast("Saved. It applies from now on.");
  };
  return form({ fields, yes: "Save the addresses", submit }).element;
}

const banList = (list, draw) =>
  h(
    "ul",
    { class: "rows" },
    list.map(({ ip, reason, until }) =>
      h(
        "li",
        null,
        lamp("warn", h("code", null, ip)),
        h("span", { class: "muted" }, `${reason} · another `, countdown(Date.parse(until))),
        action("Admit again", () => admit(ip, draw), { class: "link", "aria-label": `Admit ${ip} again`, "data-key": `admit ${ip}` }),
      ),
    ),
  );

async function admit(ip, draw) {
  draw(await api.put(FILTER, { removeBan: ip }));
  toast(`${ip} may connect again.`);
}

function banForm(draw) {
  const fields = [
    field({ name: "ip", label: "Address", placeholder: "192.0.2.7" }),
    field({ name: "durationMs", label: "For", kind: "select", value: String(HOUR), options: SPANS }),
    field({ name: "reason", label: "Reason", optional: true, placeholder: "Shown to the refused" }),
  ];
  const submit = async ({ ip, durationMs, reason }) => {
    if (!ip) throw { fields: [{ field: "ip", message: "Which address?" }] };
    try {
      draw(await api.put(FILTER, { tempBan: { ip, durationMs: Number(durationMs), ...(reason && { reason }) } }));
      toast(`${ip} is refused from now on.`);
    } catch (error) {
      throw error.fields?.length ? error : { fields: [{ field: "ip", message: error.message }] };
    }
  };
  const body = h("div", { class: "numbers level" }, fields.map((one) => one.element));
  return h("details", null, h("summary", null, "Refuse an address for a while"), form({ fields, body, yes: "Refuse", submit }).element);
}
