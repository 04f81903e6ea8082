// Requests by day.

import { strip } from "../parts/activity.js";
import { money, plural, shortDay } from "../parts/format.js";

const DAY = 86_400_000;
const MOST = 366; // bars

// *trend*: the days with requests, as dates.  The gateway's days begin at midnight UTC.
export function days(trend) {
  if (trend.length < 2) return null;
  const known = new Map(trend.map((one) => [one.date, one]));
  const last = Date.parse(trend.at(-1).date);
  const first = Math.max(Date.parse(trend[0].date), last - (MOST - 1) * DAY);
  const bars = [];
  for (let time = first; time <= last; time += DAY) {
    const date = new Date(time).toISOString().slice(0, 10);
    const { requests = 0, cost = 0 } = known.get(date) ?? {};
    bars.push([requests, `${shortDay(time, "UTC")}: ${plural(requests, "request")}, ${money(cost)}`]);
  }
  return strip(bars, "Requests per day, oldest first", [shortDay(first, "UTC"), shortDay(last, "UTC")]);
}
