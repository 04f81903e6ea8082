// Gateway keys: who may use the gateway, and for which models.

import { api, at } from "../api.js";
import { codeBlock } from "../parts/copy.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, empty, failure, notice, toast } from "../parts/feedback.js";
import { filtered } from "../parts/filtered.js";
import { field, form } from "../parts/form.js";
import { day } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { modelLines } from "../parts/model_lines.js";
import { live } from "../parts/poll.js";

export const title = "Keys";
const BASE = "/api/keys";
const DAY = 86_400_000;
const LIVES = [["never", "Never"], ["30", "In 30 days"], ["90", "In 90 days"], ["365", "In a year"]];

export function show({ host, tools, signal }) {
  const list = h("div");
  const add = () => create(refresh);
  const cards = (keys) => (keys.length ? h("ul", { class: "cards" }, keys.map((key) => card(key, refresh))) : nothing(add));
  const show = filtered(list, "Filter the keys", ({ name, key }) => `${name} ${key}`, cards);
  const refresh = live({
    signal,
    seconds: 15,
    load: () => api.get(BASE, signal),
    draw: ({ keys }) => {
      if (!list.isConnected) redraw(host, list);
      show(keys);
      redraw(tools, keys.length > 0 && action("Create a key", add, { class: "primary", "data-key": "add" }));
    },
    failed: (error) => redraw(host, failure(error, () => refresh())),
  });
}

const nothing = (add) =>
  empty(
    "No key yet",
    "Give each program a key of its own. Then the usage page shows the calls of each, and a key can be limited to some models or revoked without affecting the others.",
    action("Create a key", add, { class: "primary" }),
  );

function card(key, refresh) {
  const { id, name, isActive, expiresAt, createdAt, scopes, allowedModels, noLog } = key;
  const words = [
    allowedModels.length === 0 && "all models",
    expiresAt && `${isActive ? "expires" : "expired"} ${day(expiresAt)}`,
    `created ${day(createdAt)}`,
    scopes.includes("manage") && "may manage this gateway",
    noLog && "bodies not logged",
  ];
  const button = (label, work, more = {}) =>
    action(label, work, { class: "quiet", "data-key": `${id} ${label}`, "aria-label": `${label} ${name}`, ...more });
  return h(
    "li",
    { class: isActive ? "card" : "card off" },
    h("div", { class: "card-state" }, isActive ? lamp("ok", "Valid") : lamp("off", "Expired")),
    h(
      "div",
      { class: "card-main" },
      h("strong", null, name),
      " ",
      h("code", { class: "breakable" }, key.key),
      h("p", { class: "muted" }, words.filter(Boolean).join(" · ")),
      allowedModels.length > 0 && h("p", { class: "models" }, h("span", { class: "muted" }, "only"), allowedModels.map((model) => h("code", { class: "tag" }, model))),
    ),
    h(
      "div",
      { class: "actions" },
      button("Edit", () => edit(key, refresh)),
      button("Revoke", () => revoke(key, refresh), { class: "quiet grave" }),
    ),
  );
}

function revoke({ id, name }, refresh) {
  confirm({
    title: `Revoke ${name}?`,
    text: "Programs that use this key are refused from now on. This cannot be undone.",
    yes: "Revoke",
    work: async () => {
      await api.delete(at(BASE, id));
      toast("Revoked.");
      refresh();
    },
  });
}

async function rights(key) {
  const models = await modelLines({
    name: "allowedModels", label: "Allowed models", optional: true, value: key?.allowedModels,
    hint: "One per line, * matches anything: openai/*. Empty allows all.",
  });
  const ends = key?.expiresAt ? [["", `On ${day(key.expiresAt)}`]] : [];
  return [
    field({ name: "name", label: "Name", value: key?.name, required: true, hint: "The program or person that uses it." }),
    models,
    field({ name: "life", label: "Expires", kind: "select", value: ends.length ? "" : "never", options: [...ends, ...LIVES] }),
    field({ name: "noLog", label: "Keep no request or answer bodies in the log", kind: "check", value: key?.noLog }),
    field({ name: "manage", label: "May also manage this gateway", kind: "check", value: key?.scopes.includes("manage"), hint: "For scripts that use the management API." }),
  ];
}

// Values that are not given are not sent.
function toBody({ manage, life, ...rest }) {
  if (manage !== undefined) rest.scopes = manage ? ["inference", "manage"] : ["inference"];
  if (life !== undefined) rest.expiresAt = Number(life) ? new Date(Date.now() + Number(life) * DAY).toISOString() : null;
  return rest;
}

async function create(refresh) {
  const fields = await rights();
  dialog("Create a key", (close) => {
    const place = h("div");
    const submit = async (values) => {
      const made = await api.post(BASE, toBody(values));
      refresh();
      redraw(place, shownOnce(made, close));
      place.querySelector("button")?.focus();
    };
    redraw(place, form({ fields, yes: "Create", cancel: close, submit }).element);
    return place;
  });
}

const shownOnce = (made, close) => [
  notice("good", h("p", null, h("strong", null, `${made.name} is ready. `), "Copy the key now: it is not shown again.")),
  codeBlock(made.key, "key", true),
  h("div", { class: "actions end" }, h("button", { type: "button", class: "primary", click: close }, "Done")),
];

async function edit(key, refresh) {
  const fields = await rights(key);
  dialog(`Change ${key.name}`, (close) => {
    const submit = async (values, changes) => {
      if (Object.keys(changes).length) await api.patch(at(BASE, key.id), toBody(changes));
      close();
      toast("Saved.");
      refresh();
    };
    return form({ fields, yes: "Save", cancel: close, submit }).element;
  });
}
