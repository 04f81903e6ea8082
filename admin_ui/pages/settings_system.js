// The running process: what it is, and how to restart or end it.

import { api } from "../api.js";
import { confirm } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, notice, toast } from "../parts/feedback.js";
import { bytes, integer, span } from "../parts/format.js";
import { live } from "../parts/poll.js";
import { facts, section } from "../parts/table.js";

const HEALTH = "/api/monitoring/health";
const PATIENCE = 60; // seconds until we stop waiting for a restart

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
  if (!system) return null; // told only to who is logged in
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
    text: "Calls that are being answered may finish first; new ones have to wait some seconds.",
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

// A new process is one that has been up for less time than the old one.
async function comeBack(uptime) {
  for (let waited = 0; waited < PATIENCE; waited += 1) {
    await new Promise((done) => setTimeout(done, 1000));
    const now = await api.get(HEALTH).catch(() => null);
    if (now && now.uptime < uptime) return location.reload();
  }
  toast("The gateway has not come back. Look at its log.", "bad");
}

function shutdown() {
  confirm({
    title: "Shut the gateway down?",
    text: "Every program that uses it stops getting answers until you start it again on its machine. Calls that are being answered may finish first.",
    yes: "Shut down",
    work: async () => {
      await api.post("/api/shutdown");
      redraw(document.querySelector(".page"), notice("info", h("p", null, "The gateway is shutting down. Start it again with ", h("code", null, "omniroute"), ", then load this page anew.")));
    },
  });
}
