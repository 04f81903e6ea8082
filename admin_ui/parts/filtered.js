// A list with a filter above it if it is long.  The filter stays when the list is redrawn.

import { h, redraw } from "./dom.js";
import { searchBox } from "./form.js";

const LONG = 20;

// *textOf*: what of an item is searched; *show*: the content for some of the items.  Returns a function that shows a new list.
export function filtered(host, label, textOf, show) {
  let items = [];
  const search = searchBox(label, "Filter", () => draw());
  const place = h("div", { class: "parts" });

  function draw() {
    search.hidden = items.length <= LONG && !search.value;
    const words = search.value.toLowerCase().split(/\s+/);
    const found = items.filter((item) => words.every((word) => textOf(item).toLowerCase().includes(word)));
    redraw(place, found.length || !items.length ? show(found) : h("p", { class: "muted" }, "Nothing matches the filter."));
  }

  redraw(host, search, place);
  return (list) => ((items = list), draw());
}
