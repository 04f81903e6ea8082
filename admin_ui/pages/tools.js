// The agent tools on the gateway's machine, and their setup to use the gateway.

import { api } from "../api.js";
import { card, cardButtons, cards } from "../parts/cards.js";
import { codeBlock } from "../parts/copy.js";
import { dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, notice, toast } from "../parts/feedback.js";
import { ago } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { once } from "../parts/once.js";
import { showCopies } from "./tool_copies.js";
import { setUp, SETTABLE } from "./tool_form.js";

export const title = "Tools";
const NAMES = {
  claude: "Claude Code", codex: "Codex", droid: "Factory Droid", openclaw: "OpenClaw", cursor: "Cursor", cline: "Cline", kilo: "Kilo Code", continue: "Continue",
};
const STATES = {
  configured: ["ok", "Uses this gateway"],
  not_configured: ["new", "Not set up"],
  not_installed: ["off", "Not found"],
  unknown: ["warn", "Cannot be read"],
};

// Not refreshed automatically: each check runs the tools, to see whether they work.
export function show({ host, tools, signal }) {
  const list = h("div");
  const load = () => {
    redraw(list, h("p", { class: "muted", role: "status" }, lamp("busy", "Looking for tools on this machine…")));
    return once(list, signal, () => api.get("/api/cli-tools/status", signal), (found) => cards(sorted(found).map(([id, state]) => one(id, state, load))));
  };
  redraw(host, h("p", { class: "note" }, "Agent tools on the machine that the gateway runs on. Setting one up changes only its entries for the gateway; a copy of its file is kept."), list);
  redraw(tools, action("Look again", load));
  load();
}

// Tools that can be set up come first, missing ones last.
function sorted(found) {
  const rank = ([id, { installed }]) => (installed ? 0 : 2) + (SETTABLE.has(id) ? 0 : 1);
  return Object.entries(found).sort((a, b) => rank(a) - rank(b));
}

function one(id, { installed, runnable, command, commandPath, configStatus, lastConfiguredAt }, refresh) {
  const name = NAMES[id] ?? id;
  const button = cardButtons(id, name);
  const [kind, words] = installed && !runnable ? ["bad", "Does not run"] : (STATES[configStatus] ?? ["new", configStatus]);
  const known = [
    commandPath ?? (command && !installed && `no program named ${command}`),
    installed && !SETTABLE.has(id) && "set it up by hand, with the address on the overview",
    lastConfiguredAt && `set up ${ago(lastConfiguredAt)}`,
  ].filter(Boolean);
  const actions = installed && SETTABLE.has(id) && [
    button(configStatus === "configured" ? "Change" : "Set up", () => setUp(id, name, refresh)),
    button("Copies", () => showCopies(id, name, refresh)),
    configStatus === "configured" && button("Undo", () => undo(id, name, refresh), { class: "quiet grave" }),
  ];
  return card({ off: !installed, state: lamp(kind, words), actions }, h("strong", null, name), h("p", { class: "muted" }, known.join(" · ")));
}

async function undo(id, name, refresh) {
  const path = SETTABLE.get(id);
  const { diff } = await api.delete(`${path}?preview=true`);
  dialog(`Remove the gateway from ${name}?`, (close) => [
    diff ? codeBlock(diff, "changes") : notice("info", h("p", null, "The gateway has no entries there.")),
    h(
      "div",
      { class: "actions end" },
      h("button", { type: "button", autofocus: true, click: close }, "Cancel"),
      action(
        "Remove it",
        async () => {
          await api.delete(path);
          close();
          toast(`${name} no longer uses the gateway.`);
          refresh();
        },
        { class: "danger" },
      ),
    ),
  ]);
}
