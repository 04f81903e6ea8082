// A table that becomes a list of cards on narrow screens (see narrow.css).

import { h } from "./dom.js";

// columns: {label, cell(row) -> node or text, class?}.  Roles are explicit, because a changed CSS display removes them.
// *compact*: the cards are lines of text without column names, for long lists.
export function table(caption, columns, rows, { compact = false } = {}) {
  const head = columns.map(({ label, class: kind }) => h("th", { scope: "col", role: "columnheader", class: kind }, label));
  const line = (row) => h("tr", { role: "row" }, columns.map((column) => cell(column, row)));
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { role: "table", class: compact ? "compact" : null },
      h("caption", { class: "offscreen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
      h("tbody", { role: "rowgroup" }, rows.map(line)),
    ),
  );
}

export const none = () => h("span", { class: "muted none" }, "–"); // left out of the cards

const cell = ({ label, cell: show, class: kind }, row) => h("td", { role: "cell", "data-label": label, class: kind }, show(row));

export const facts = (pairs) =>
  h("dl", { class: "facts" }, pairs.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));

export const section = (title, { aside, note, ...props }, ...children) =>
  h(
    "section",
    props,
    h("header", { class: "section-head" }, h("h2", null, title), aside && h("div", { class: "actions" }, aside)),
    note && h("p", { class: "note" }, note),
    children,
  );
