// Requests over time as a strip of bars, like the paper of a chart recorder.

import { h, svg } from "./dom.js";
import { integer, money, plural, tokens } from "./format.js";

const HEIGHT = 64;
const STEP = 20;

export function activity(minutes) {
  const total = (name) => minutes.reduce((sum, minute) => sum + minute[name], 0);
  const bars = minutes.map(({ requests }, at) => [requests, `${plural(requests, "request")}, ${minuteName(minutes.length - 1 - at)}`]);
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
    strip(bars, "Requests per minute, oldest first", ["10 min ago", "now"]),
  );
}

// bars: [count, its words]; *ends*: the words below the first and the last.
export function strip(bars, label, ends) {
  const top = Math.max(4, ...bars.map(([count]) => count)); // a single request should not look like full load
  const bar = ([count, words], at) => {
    const height = count ? Math.max(3, (count / top) * (HEIGHT - 8)) : 1;
    const box = { x: at * STEP + 3, y: HEIGHT - height, width: STEP - 6, height, class: count ? "bar" : "bar idle" };
    return svg("rect", box, svg("title", null, words));
  };
  const words = `${label}: ${bars.map(([count]) => count).join(", ")}`;
  const size = `0 0 ${bars.length * STEP} ${HEIGHT}`;
  return h(
    "div",
    { class: "activity" },
    svg("svg", { viewBox: size, role: "img", "aria-label": words, preserveAspectRatio: "none", class: bars.length === 10 ? "strip ruled" : "strip" }, bars.map(bar)),
    h("div", { class: "axis", "aria-hidden": "true" }, ends.map((end) => h("span", null, end))),
  );
}

const minuteName = (age) => (age === 0 ? "this minute" : `${plural(age, "minute")} ago`);

export const figure = (value, label) => h("div", { class: "figure" }, h("span", { class: "value num" }, value), h("span", { class: "label" }, label));
