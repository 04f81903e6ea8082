// Numbers, times and amounts of money, formatted for people.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const integer = (value) => whole.format(value ?? 0);
export const tokens = (value) => (value >= 100_000 ? short.format(value) : whole.format(value ?? 0));

// Single calls cost fractions of a cent, sums dollars.  Both must show significant digits.
export function money(dollars) {
  if (!dollars) return "$0";
  if (dollars < 0.0001) return "< $0.0001";
  return "$" + dollars.toFixed(dollars < 0.01 ? 4 : dollars < 1 ? 3 : 2);
}

// Prices are exact: those of single tokens or seconds of sound are tiny.
const exact = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 8 });
export const dollars = (price) => "$" + exact.format(price);

export function milliseconds(value) {
  if (value < 1000) return `${Math.round(value)} ms`;
  return value < 60_000 ? `${(value / 1000).toFixed(1)} s` : span(value / 1000);
}

// Seconds as the two largest units: "2 d 3 h", "4 min 10 s".
export function span(seconds) {
  const rest = Math.max(0, Math.round(seconds));
  const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => rest >= size);
  if (first < 0) return "0 s";
  const [name, size] = units[first];
  const next = units[first + 1];
  const minor = next ? Math.floor((rest % size) / next[1]) : 0;
  return `${Math.floor(rest / size)} ${name}` + (minor ? ` ${minor} ${next[0]}` : "");
}

export function ago(iso) {
  const seconds = (Date.now() - Date.parse(iso)) / 1000;
  if (Number.isNaN(seconds)) return "–";
  return seconds < 5 ? "just now" : `${span(seconds).split(" ").slice(0, 2).join(" ")} ago`;
}

const clockOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export const day = (iso) => dayOf.format(new Date(iso));
// The time without the date is enough only for today.
export const shortDay = (time, timeZone) => new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone }).format(new Date(time));
export const when = (iso) => (day(iso) === day(Date.now()) ? "" : `${shortDay(iso)}, `) + clockOf.format(new Date(iso));
export const moment = (iso) => `${dayOf.format(new Date(iso))}, ${clockOf.format(new Date(iso))}`;

export const bytes = (value) => (value < 1_048_576 ? `${Math.ceil(value / 1024)} KB` : `${(value / 1_048_576).toFixed(value < 10_485_760 ? 1 : 0)} MB`);
export const plural = (count, one, many = one + "s") => `${integer(count)} ${count === 1 ? one : many}`;
