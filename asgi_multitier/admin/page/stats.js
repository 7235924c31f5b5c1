// The statistics, asked for every few seconds while the page can be seen, for all parts of it.

import { ask } from "./api.js";
import { every } from "./dom.js";
import { History, reading } from "./readings.js";

const EVERY = 4; // seconds
const listeners = new Set();
let running = new AbortController();

/** The last answer, what came before, and why there is no newer answer. */
export const known = { scope: "process" };

export function forget() {
  running.abort();
  running = new AbortController();
  Object.assign(known, { stats: null, history: new History(), failure: null });
}

/** Ask from now on, for one process or for this machine. */
export function watch(scope = known.scope) {
  forget();
  known.scope = scope;
  const { signal } = running;
  every(EVERY, signal, async () => {
    known.failure = null;
    try {
      known.stats = await ask("api/stats", { query: { scope }, signal });
      known.history.add(reading(known.stats, performance.now() / 1000));
    } catch (failure) {
      if (failure.left) return;
      known.failure = failure;
    }
    listeners.forEach((tell) => tell());
  });
}

/** Call something now, and whenever there is something new, until it is left. */
export function onNews(signal, tell) {
  listeners.add(tell);
  signal.addEventListener("abort", () => listeners.delete(tell));
  tell();
}
