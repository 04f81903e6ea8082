// The names and the prices of models.

import { h, redraw } from "../parts/dom.js";
import { aliasesSection } from "./models_aliases.js";
import { patternsSection } from "./models_patterns.js";
import { pricesSection } from "./models_prices.js";

export const title = "Models";

export function show({ host, signal }) {
  const places = [aliasesSection, patternsSection, pricesSection].map((part) => {
    const place = h("div");
    part(place, signal);
    return place;
  });
  redraw(host, places);
}
