// How requests are routed: an explanation for one model, and what affects routing.

import { h, redraw } from "../parts/dom.js";
import { breakersSection } from "./routing_breakers.js";
import { chainsSection } from "./routing_chains.js";
import { explainSection } from "./routing_explain.js";
import { timingSection } from "./routing_timing.js";

export const title = "Routing";

export function show({ host, signal }) {
  const places = [explainSection, breakersSection, chainsSection, timingSection].map((part) => {
    const place = h("div");
    part(place, signal);
    return place;
  });
  redraw(host, places);
}
