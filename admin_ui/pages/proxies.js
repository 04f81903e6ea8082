// The outbound proxies, and the newest calls with the proxy of each.

import { h, redraw } from "../parts/dom.js";
import { levelsSection } from "./proxies_levels.js";
import { logSection } from "./proxies_log.js";

export const title = "Proxies";

export function show({ host, tools, signal }) {
  const places = [h("div"), h("div")];
  redraw(host, places);
  levelsSection(places[0], tools, signal);
  logSection(places[1], signal);
}
