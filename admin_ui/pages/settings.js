// The gateway's settings, its password, and the process itself.

import { api, line } from "../api.js";
import { providerNames } from "../parts/catalog.js";
import { h, redraw } from "../parts/dom.js";
import { failure, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { pickedLines } from "../parts/model_lines.js";
import { section } from "../parts/table.js";
import { passwordSection } from "./settings_access.js";
import { auditSection } from "./settings_audit.js";
import { backupsSection } from "./settings_backups.js";
import { networkSection } from "./settings_network.js";
import { requestsSection } from "./settings_requests.js";
import { syncSection } from "./settings_sync.js";
import { systemSection } from "./settings_system.js";

export const title = "Settings";

const STRATEGIES = [
  ["fill-first", "In order of priority"],
  ["round-robin", "In turn"],
  ["p2c", "The less busy of two"],
  ["random", "At random"],
  ["least-used", "The least used"],
  ["cost-optimized", "The cheapest"],
];

export async function show({ host, signal }) {
  const places = { password: h("div"), settings: h("div"), requests: h("div"), network: h("div"), backups: h("div"), sync: h("div"), system: h("div"), audit: h("div") };
  redraw(host, Object.values(places));
  redraw(places.password, section("Password", {}, h("div"))); // so that the page does not jump when they are loaded
  redraw(places.settings, section("Behaviour", {}, h("div")));
  requestsSection(places.requests, signal);
  networkSection(places.network, signal);
  backupsSection(places.backups, signal);
  syncSection(places.sync, signal);
  systemSection(places.system, signal);
  auditSection(places.audit, signal);
  async function load() {
    try {
      const [values, names] = await Promise.all([api.get("/api/settings", signal), providerNames()]);
      if (signal.aborted) return;
      redraw(places.password, passwordSection(values, load));
      // Not redrawn after a new password, because unsaved input below would be lost.
      if (!places.settings.querySelector("form")) redraw(places.settings, settingsSection(values, names));
    } catch (error) {
      if (!signal.aborted) redraw(places.settings, failure(error, load));
    }
  }
  await load();
}

function settingsSection(values, names) {
  const group = (title, ...fields) => ({ title, fields });
  const groups = [
    group(
      "Routing",
      field({ name: "fallbackStrategy", label: "Which account answers", kind: "select", value: values.fallbackStrategy, options: STRATEGIES, hint: "If one provider has several accounts. Failing accounts are always skipped." }),
      field({ name: "stickyRoundRobinLimit", label: "Calls in a row to one account", kind: "number", min: 0, max: 1000, value: values.stickyRoundRobinLimit, hint: "For accounts used in turn: the number of calls before the next account." }),
      pickedLines({ name: "blockedProviders", label: "Blocked providers", value: values.blockedProviders, hint: "Provider ids, one per line. Nothing is sent to them.", pick: "Block a provider", options: Object.entries(names).sort(([, a], [, b]) => a.localeCompare(b)) }),
    ),
    group(
      "Access",
      field({ name: "requireAuthForModels", label: "The model list needs a key", kind: "check", value: values.requireAuthForModels }),
      field({ name: "enableSocks5Proxy", label: "SOCKS5 proxies may be used", kind: "check", value: values.enableSocks5Proxy }),
      field({ name: "corsOrigins", label: "Web pages that may call", optional: true, value: values.corsOrigins, hint: "Their origins, separated by commas. * lets every web page use your accounts." }),
    ),
    group(
      "Name and log",
      field({ name: "instanceName", label: "Name of this gateway", optional: true, value: values.instanceName, hint: "Shown on these pages, to tell several gateways apart." }),
      field({ name: "baseUrl", label: "Public address", kind: "url", optional: true, value: values.baseUrl, placeholder: location.origin, hint: "Shown on the overview. Set it if programs use another address than this page." }),
      field({ name: "logRetentionDays", label: "Days to keep the log", kind: "number", min: 1, max: 365, value: values.logRetentionDays, placeholder: "90" }),
      field({ name: "enableRequestLogs", label: "Keep requests and answers", kind: "check", value: values.enableRequestLogs, hint: "Of the newest 500 calls, without secrets. The usage page shows them with each call." }),
    ),
  ];
  const fields = groups.flatMap((one) => one.fields);
  const body = groups.map((one) => h("div", { class: "set", role: "group", "aria-label": one.title }, h("h3", null, one.title), h("div", { class: "set-fields" }, one.fields.map((part) => part.element))));
  return section("Behaviour", {}, form({ fields, body, yes: "Save settings", submit: (values, changes) => save(changes) }).element);
}

// An empty number means "unchanged": JSON omits undefined values.
async function save(changes) {
  await api.patch("/api/settings", changes);
  if ("instanceName" in changes) line.dispatchEvent(new Event("named"));
  toast("Settings saved. They apply from now on.");
}
