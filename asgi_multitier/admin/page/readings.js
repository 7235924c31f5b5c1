// Rates from statistics that only grow: differences of two readings, never below zero.

const KEPT = 300; // seconds
const NOTHING = { requests: 0, spared: 0, passes: 0, runs: 0 };

const sum = (counts) => Object.values(counts).reduce((all, one) => all + one, 0);

const figures = (row) => ({
  requests: row.requests, spared: sum(row.hits) + row.stale + row.coalesced, passes: sum(row.passes),
  runs: row.runs.count, mean: row.runs.mean ?? 0,
});

/** What is kept of one answer of `api/stats`; `at` in seconds. */
export const reading = ({ scope, workers, total, routes }, at) => ({
  at,
  // Sums over other processes are not compared.
  of: `${scope} ${workers.filter(({ missing }) => !missing).map(({ worker, pid }) => `${worker}:${pid}`).sort()}`,
  total: figures(total),
  routes: new Map(routes.map((row) => [row.route, figures(row)])),
});

/** Rates between two readings; null where counters began again, or others answered. */
export function between(older, newer) {
  const time = newer.at - older.at;
  if (!(time > 0) || older.of !== newer.of) return null;
  const routes = new Map([...newer.routes].map(([route, now]) => [route, pace(older.routes.get(route) ?? NOTHING, now, time)]));
  const all = [...routes.values()];
  const total = pace(older.total, newer.total, time);
  if (!total || all.includes(null)) return null;
  return { ...total, saved: sum(all.map(({ saved }) => saved)), routes };
}

function pace(before, now, time) {
  const grown = Object.fromEntries(Object.keys(NOTHING).map((name) => [name, now[name] - before[name]]));
  if (Object.values(grown).some((by) => by < 0)) return null;
  const cached = grown.requests - grown.passes;
  return {
    requests: grown.requests / time, runs: grown.runs / time, saved: (grown.spared * now.mean) / time,
    ratio: cached > 0 ? grown.spared / cached : null,
  };
}

/** The rates of the last minutes: `points` are `{ at, rates }`, `now` the last; null where not known. */
export class History {
  points = [];
  now = null;
  #last;

  add(newer) {
    this.now = this.#last ? between(this.#last, newer) : null;
    this.#last = newer;
    const rates = this.now && { ...this.now, routes: null };
    this.points = [...this.points.filter(({ at }) => at >= newer.at - KEPT), { at: newer.at, rates }];
  }
}
