// The running process, and how to restart or stop it.

import { api } from "../api.js";
import { confirm } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, notice, toast } from "../parts/feedback.js";
import { bytes, integer, span } from "../parts/format.js";
import { live } from "../parts/poll.js";
import { facts, section } from "../parts/table.js";

const HEALTH = "/api/monitoring/health";
const PATIENCE = 60; // seconds to wait for a restart

export function systemSection(host, signal) {
  const state = h("div");
  const aside = [action("Restart", restart), action("Shut down", shutdown, { class: "danger-text" })];
  redraw(host, section("This gateway", { aside }, state));
  const refresh = live({
    signal,
    seconds: 5,
    load: () => api.get(HEALTH, signal),
    draw: (health) => redraw(state, description(health)),
    failed: (error) => redraw(state, failure(error, () => refresh())),
  });
}

function description({ version, system, inFlight }) {
  if (!system) return null; // only for logged-in users
  return facts([
    ["Version", version],
    ["Running for", span(system.uptime)],
    ["Memory", system.memoryUsage.rss ? bytes(system.memoryUsage.rss) : "unknown"],
    ["Calls in flight", integer(inFlight)],
    ["Python", system.pythonVersion],
    ["Process", String(system.pid)],
  ]);
}

function restart() {
  confirm({
    title: "Restart the gateway?",
    text: "Calls in progress may finish first; new ones wait a few seconds.",
    yes: "Restart",
    danger: false,
    work: async () => {
      const before = await api.get(HEALTH);
      await api.post("/api/restart");
      toast("Restarting…");
      comeBack(before.uptime);
    },
  });
}

// A shorter uptime than before shows that the process is new.
async function comeBack(uptime) {
  for (let waited = 0; waited < PATIENCE; waited += 1) {
    await new Promise((done) => setTimeout(done, 1000));
    const now = await api.get(HEALTH).catch(() => null);
    if (now && now.uptime < uptime) return location.reload();
  }
  toast("The gateway has not come back. See its log.", "bad");
}

function shutdown() {
  confirm({
    title: "Shut the gateway down?",
    text: "Programs that use it get no answers until you start it again on its machine. Calls in progress may finish first.",
    yes: "Shut down",
    work: async () => {
      await api.post("/api/shutdown");
      redraw(document.querySelector(".page"), notice("info", h("p", null, "The gateway is shutting down. Start it again with ", h("code", null, "omniroute"), ", then reload this page.")));
    },
  });
}
