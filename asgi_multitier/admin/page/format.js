// Figures as people read them. What is not known is a dash.

const NONE = "–";
const missing = (value) => value === null || value === undefined;
const whole = new Intl.NumberFormat("en");

export const count = (value) => (missing(value) ? NONE : whole.format(Math.round(value)));
export const rate = (value) => (missing(value) ? NONE : value < 10 ? value.toFixed(1) : count(value));

/** A share, rounded down: 100 % are all. */
export const percent = (share) => (missing(share) ? NONE : `${(Math.floor(share * 1000 + 1e-9) / 10).toFixed(1)} %`);

const short = (value) => Number(value.toFixed(value < 10 ? 1 : 0));

export function bytes(value) {
  if (missing(value)) return NONE;
  const at = value < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(value) / 10));
  return `${short(value / 1024 ** at)} ${["B", "KiB", "MiB", "GiB", "TiB"][at]}`;
}

/** What is used, and of how much where there is a limit. */
export const size = (value, limit) => bytes(value) + (limit ? ` of ${bytes(limit)}` : "");

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [0, "ms"]];

export function duration(seconds) {
  if (missing(seconds)) return NONE;
  if (seconds < 0) return `−${duration(-seconds)}`;
  const [size, name] = seconds ? UNITS.find(([least]) => seconds >= least) : [1, "s"];
  return `${short(seconds / (size || 0.001))} ${name}`;
}

/** The time of day of Unix seconds. */
export const clock = (at) => new Date(1000 * at).toLocaleTimeString("en-GB");

export const plural = (number, thing, things = `${thing}s`) => `${count(number)} ${number === 1 ? thing : things}`;

/** Counts by name, the largest first: `cookie 10, method 2`. */
export const tally = (counts) => Object.entries(counts ?? {}).filter(([, number]) => number)
  .sort((a, b) => b[1] - a[1]).map(([name, number]) => `${name} ${count(number)}`).join(", ");

/** What names a route, `route PUT /products/{id} (edit)`, without what goes without saying. */
export const brief = (route) => route.replace(/^route | \(.*\)$/g, "");

/** A selector in words: `tag product:1`. */
export const selector = ({ kind, text }) => (text ? `${kind} ${text}` : kind);
