// Budgets of keys, policies, and rate limits of accounts.

import { h, redraw } from "../parts/dom.js";
import { accountsSection } from "./limits_accounts.js";
import { budgetsSection } from "./limits_budgets.js";
import { policiesSection } from "./limits_policies.js";

export const title = "Limits";

export function show({ host, signal }) {
  const places = [budgetsSection, policiesSection, accountsSection].map((part) => {
    const place = h("div");
    part(place, signal);
    return place;
  });
  redraw(host, places);
}
