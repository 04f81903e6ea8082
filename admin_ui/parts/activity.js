// The last ten minutes as a strip of bars, one per minute, like the paper of a chart recorder.

import { h, svg } from "./dom.js";
import { integer, money, plural, tokens } from "./format.js";

const HEIGHT = 64;
const STEP = 20;

export function activity(minutes) {
  const counts = minutes.map((minute) => minute.requests);
  const top = Math.max(4, ...counts); // a single request should not look like full load
  const total = (name) => minutes.reduce((sum, minute) => sum + minute[name], 0);
  const bar = (count, at) => {
    const height = count ? Math.max(3, (count / top) * (HEIGHT - 8)) : 1;
    const box = { x: at * STEP + 3, y: HEIGHT - height, width: STEP - 6, height, class: count ? "bar" : "bar idle" };
    return svg("rect", box, svg("title", null, `${plural(count, "request")}, ${minuteName(minutes.length - 1 - at)}`));
  };
  const words = `Requests per minute, oldest first: ${counts.join(", ")}`;
  const size = `0 0 ${minutes.length * STEP} ${HEIGHT}`;
  return h(
    "div",
    { class: "activity" },
    h(
      "div",
      { class: "figures" },
      figure(integer(total("requests")), "requests"),
      figure(tokens(total("promptTokens")), "tokens in"),
      figure(tokens(total("completionTokens")), "tokens out"),
      figure(money(total("cost")), "cost"),
    ),
    svg("svg", { viewBox: size, role: "img", "aria-label": words, preserveAspectRatio: "none", class: "strip" }, counts.map(bar)),
    h("div", { class: "axis", "aria-hidden": "true" }, h("span", null, "10 min ago"), h("span", null, "now")),
  );
}

const minuteName = (age) => (age === 0 ? "this minute" : `${plural(age, "minute")} ago`);

export const figure = (value, label) => h("div", { class: "figure" }, h("span", { class: "value num" }, value), h("span", { class: "label" }, label));
