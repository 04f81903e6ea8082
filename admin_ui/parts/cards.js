// Lists of cards, each with a state and buttons.

import { h } from "./dom.js";
import { action } from "./feedback.js";

export const cards = (items) => h("ul", { class: "cards" }, items);

export const card = ({ off, state, actions }, ...main) =>
  h(
    "li",
    { class: off ? "card off" : "card" },
    h("div", { class: "card-state" }, state),
    h("div", { class: "card-main" }, main),
    actions && h("div", { class: "actions" }, actions),
  );

// Makes the buttons of one card.  Their accessible names include the card's, and the focus survives a redraw of the list.
export const cardButtons = (id, name) => (label, work, more = {}) =>
  action(label, work, { class: "quiet", "data-key": `${id} ${label}`, "aria-label": `${label} ${name}`, ...more });

export const tags = (words) => h("p", { class: "models" }, words.map((word) => h("code", { class: "tag" }, word)));
