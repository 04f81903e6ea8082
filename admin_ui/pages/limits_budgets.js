// Budgets: how many dollars each key may spend per day, week and month.

import { api } from "../api.js";
import { card, cardButtons, cards } from "../parts/cards.js";
import { confirm, dialog } from "../parts/dialog.js";
import { h, redraw } from "../parts/dom.js";
import { action, failure, notice, toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";
import { money } from "../parts/format.js";
import { lamp } from "../parts/lamp.js";
import { live } from "../parts/poll.js";
import { section } from "../parts/table.js";

const BASE = "/api/usage/budget";
const PERIODS = [["daily", "Today"], ["weekly", "This week"], ["monthly", "This month"]];
const WARN = 80; // percent

export function budgetsSection(host, signal) {
  const place = h("div");
  const aside = action("Set a budget", () => choose(() => refresh()));
  redraw(host, section("Budgets", { aside, note: "What a key may spend, by the prices of the models. Days, weeks and months begin at midnight UTC, weeks on Monday. Requests with a key that has spent its budget are refused." }, place));
  const refresh = live({
    signal,
    seconds: 15,
    load: () => api.get(BASE, signal),
    draw: ({ budgets }) => redraw(place, budgets.length ? cards(budgets.map((budget) => one(budget, refresh))) : h("p", { class: "muted" }, "No key has a budget: each may spend without limit.")),
    failed: (error) => redraw(place, failure(error, () => refresh())),
  });
}

function one(budget, refresh) {
  const { apiKeyId, name, allowed, warningReached, budgetCheck: check } = budget;
  const button = cardButtons(apiKeyId, `the budget of ${name}`);
  const actions = [
    button("Edit", () => edit({ id: apiKeyId, name }, budget.budget, refresh)),
    button("Remove", () => remove(apiKeyId, name, refresh), { class: "quiet grave" }),
  ];
  const state = !allowed ? lamp("bad", "Used up") : warningReached ? lamp("warn", "Nearly used up") : lamp("ok", "Within the limit");
  const limited = PERIODS.filter(([period]) => check[`${period}Limit`] > 0);
  return card({ state, actions }, h("strong", null, name), h("ul", { class: "rows" }, limited.map(([period, words]) => spent(words, check[`${period}Used`], check[`${period}Limit`]))));
}

const spent = (words, used, limit) =>
  h("li", null, h("span", { class: "measure" }, words), h("progress", { max: limit, value: Math.min(used, limit), "aria-label": `${words}: ${money(used)} of ${money(limit)}` }), h("span", { class: "muted num" }, `${money(used)} of ${money(limit)}`));

async function choose(done) {
  const [{ keys }, { budgets }] = await Promise.all([api.get("/api/keys"), api.get(BASE)]);
  const taken = new Set(budgets.map((one) => one.apiKeyId));
  const free = keys.filter((key) => !taken.has(key.id));
  if (free.length) return edit(null, null, done, free);
  return dialog("Set a budget", () =>
    notice("info", h("p", null, keys.length ? "Every key has a budget already." : "A budget belongs to a key, and there is none yet."), h("a", { class: "button", href: "/dashboard/keys" }, "Create a key")),
  );
}

// *key*: the owner of the budget; without one it is chosen from *free*.
function edit(key, budget, done, free = []) {
  const who = !key && field({ name: "apiKeyId", label: "Key", kind: "select", value: free[0].id, options: free.map(({ id, name }) => [id, name]) });
  const dollars = (name, label) => field({ name, label, kind: "number", min: 0, step: "any", optional: true, value: budget?.[name] || undefined, placeholder: "no limit" });
  const limits = [dollars("dailyLimitUsd", "A day ($)"), dollars("weeklyLimitUsd", "A week ($)"), dollars("monthlyLimitUsd", "A month ($)")];
  const warn = field({ name: "warningThreshold", label: "Warn at (%)", kind: "number", min: 1, max: 100, value: budget ? Math.round(budget.warningThreshold * 100) : WARN, hint: "A warning is shown here once this part of a limit is spent." });
  const kept = budget && { resetInterval: budget.resetInterval, resetTime: budget.resetTime };
  const fields = [who, ...limits, warn].filter(Boolean);
  dialog(key ? `Budget of ${key.name}` : "Set a budget", (close) => {
    const submit = async (values) => {
      const sums = Object.fromEntries(limits.map(({ name }) => [name, values[name] ?? 0]));
      if (!Object.values(sums).some((sum) => sum > 0)) throw { fields: [{ field: "dailyLimitUsd", message: "At least one limit is needed." }] };
      await api.post(BASE, { apiKeyId: key?.id ?? values.apiKeyId, ...kept, ...sums, warningThreshold: (values.warningThreshold ?? WARN) / 100 });
      close();
      toast("Saved. It applies from the next request on.");
      done();
    };
    const body = [who && who.element, h("div", { class: "numbers" }, limits.map((one) => one.element)), warn.element];
    return form({ fields, body, yes: "Save", cancel: close, submit }).element;
  });
}

function remove(id, name, refresh) {
  confirm({
    title: "Remove this budget?",
    text: `${name} may spend without limit from now on.`,
    yes: "Remove",
    work: async () => {
      await api.delete(`${BASE}?apiKeyId=${encodeURIComponent(id)}`);
      toast("Removed.");
      refresh();
    },
  });
}
