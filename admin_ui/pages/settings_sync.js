// Synchronising accounts, combos, keys and settings with another gateway.

import { api } from "../api.js";
import { confirm } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { ago } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { section } from "../parts/table.js";

const BASE = "/api/sync/cloud";
const NOTE = ["Accounts, combos, keys, prices and settings are kept the same on two gateways. Both need the same ", h("code", null, "CLOUD_SYNC_TOKEN"), " in their environment, and the same ", h("code", null, "STORAGE_ENCRYPTION_KEY"), " to exchange secrets too."];

export function syncSection(host, signal) {
  const place = h("div");
  redraw(host, section("Sync with another gateway", { note: NOTE }, place));
  const refresh = live({
    signal,
    load: () => Promise.all([api.get(BASE, signal), api.get("/api/settings", signal).then(({ cloudUrl }) => cloudUrl)]),
    draw: ([state, cloudUrl]) => redraw(place, state.enabled ? running(state, refresh) : startForm(cloudUrl, refresh)),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

function startForm(cloudUrl, reload) {
  const url = field({ name: "cloudUrl", label: "Address of the other gateway", kind: "url", optional: true, value: cloudUrl, placeholder: "http://localhost:20129", hint: "Empty: CLOUD_URL of the environment." });
  const submit = async (values, changes) => {
    if ("cloudUrl" in changes) await api.patch("/api/settings", changes);
    try {
      tell(await api.post(BASE, { action: "enable" }));
    } catch (error) {
      throw /CLOUD_URL|cloudUrl/.test(error.message) ? { fields: [{ field: "cloudUrl", message: error.message }] } : error;
    }
    await reload();
  };
  return form({ fields: [url], yes: "Start syncing", submit }).element;
}

function running({ connected, lastSync }, reload) {
  const sync = async () => {
    tell(await api.post(BASE, { action: "sync" }));
    await reload();
  };
  return [
    h("p", null, connected ? lamp("ok", "Every 15 minutes") : lamp("bad", "The other gateway does not answer"), h("span", { class: "muted" }, lastSync ? ` · last ${ago(lastSync)}` : " · not yet")),
    h("div", { class: "actions" }, action("Sync now", sync, { class: "primary", "data-key": "sync now" }), action("Stop", () => stop(reload), { class: "danger-text" })),
  ];
}

function tell({ changes, verified, verifyError }) {
  if (verified === false) toast(`Synced, but the other gateway does not confirm it: ${verifyError}`, "bad");
  else toast(`Synced: ${changes.sent} sent, ${changes.received} received, ${changes.deleted} deleted.`);
}

function stop(reload) {
  confirm({
    title: "Stop syncing?",
    text: "The other gateway deletes what came from this one, except what was changed there since. Nothing is deleted here.",
    yes: "Stop",
    work: async () => {
      const { warning } = await api.post(BASE, { action: "disable" });
      toast(warning ?? "Syncing has stopped.", warning ? "bad" : "ok");
      await reload();
    },
  });
}
