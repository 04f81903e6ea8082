// Policies: which models and providers may be used and what they may cost.  Also the addresses locked out of the login.

import { api } from "../api.js";
import { card, cardButtons, cards } from "../parts/cards.js";
import { confirm } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, toast } from "../parts/feedback.js";
import { integer, money } from "../parts/format.js";
import { countdown, lamp } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { section } from "../parts/table.js";
import { editPolicy } from "./limits_policy_form.js";

const BASE = "/api/policies";

export function policiesSection(host, signal) {
  const place = h("div");
  const locks = h("div");
  const aside = action("Add a policy", () => editPolicy(null, () => refresh()));
  redraw(host, section("Policies", { aside, note: "Rules for requests: which providers come first, what is forbidden, how long and expensive an answer may be. Several rules add up; the lowest limit counts." }, place), locks);
  const refresh = live({
    signal,
    seconds: 15,
    load: () => Promise.all([api.get(BASE, signal), api.get("/api/keys", signal)]),
    draw: ([{ policies, lockedIdentifiers }, { keys }]) => {
      const names = Object.fromEntries(keys.map(({ id, name }) => [id, name]));
      redraw(place, policies.length ? cards(policies.map((policy) => one(policy, names, refresh))) : h("p", { class: "muted" }, "No policy: every key may use every model that it is allowed."));
      redraw(locks, lockedIdentifiers.length > 0 && locked(lockedIdentifiers, refresh));
    },
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

function one(policy, keys, refresh) {
  const { id, name, enabled } = policy;
  const button = cardButtons(id, name);
  const turn = async () => {
    await api.post(BASE, { ...policy, enabled: !enabled });
    refresh();
  };
  const actions = [
    button(enabled ? "Disable" : "Enable", turn, { "data-key": `${id} switch` }),
    button("Edit", () => editPolicy(policy, refresh)),
    button("Delete", () => remove(policy, refresh), { class: "quiet grave" }),
  ];
  return card(
    { off: !enabled, state: enabled ? lamp("ok", "In force") : lamp("off", "Disabled"), actions },
    h("strong", null, name),
    h("p", { class: "muted" }, condition(policy.conditions, keys)),
    h("p", null, demands(policy.actions).join(" · ")),
  );
}

function condition({ model_pattern: model, provider, api_key_id: key }, keys) {
  const parts = [model && `model ${model}`, provider && `provider ${provider}`, key && `key ${keys[key] ?? key}`].filter(Boolean);
  return parts.length ? `For ${parts.join(", ")}` : "For all requests";
}

function demands(actions) {
  const list = (words, values) => values?.length && `${words} ${values.join(", ")}`;
  return [
    list("use first:", actions.prefer_provider),
    list("never use:", actions.block_provider),
    list("forbid:", actions.block_model),
    actions.max_tokens && `answers of at most ${integer(actions.max_tokens)} tokens`,
    actions.max_cost_per_1k !== undefined && `at most ${money(actions.max_cost_per_1k)} per 1,000 tokens`,
    actions.daily_budget && `${money(actions.daily_budget)} a day together`,
  ].filter(Boolean);
}

function remove({ id, name }, refresh) {
  confirm({
    title: `Delete ${name}?`,
    text: "What it forbade is allowed from the next request on.",
    yes: "Delete",
    work: async () => {
      await api.delete(`${BASE}?id=${encodeURIComponent(id)}`);
      toast("Deleted.");
      refresh();
    },
  });
}

function locked(list, refresh) {
  const unlock = (identifier) => async () => {
    await api.post(BASE, { action: "unlock", identifier });
    toast("Unlocked.");
    refresh();
  };
  const row = ({ identifier, remainingMs }) =>
    card(
      { state: lamp("warn", "Locked"), actions: action("Unlock", unlock(identifier), { class: "quiet", "aria-label": `Unlock ${identifier}`, "data-key": `unlock ${identifier}` }) },
      h("strong", { class: "breakable" }, identifier),
      h("p", { class: "muted" }, "another ", countdown(Date.now() + remainingMs)),
    );
  return section("Locked out of the login", { note: "These addresses gave a wrong password too often." }, cards(list.map(row)));
}
