// Many identical requests at once, with coalescing and without: how often the application runs.

import { byId, say, table } from "./dom.js";
import { SOURCES, milliseconds, plural, spoken } from "./words.js";

const HOW = { coalesced: "with coalescing", each: "without" };

/** Both bursts, one after the other, on one instance. */
export async function burstBoth(instance) {
  const found = [];
  for (const [how, words] of Object.entries(HOW)) {
    say("burst-said", `${words[0].toUpperCase()}${words.slice(1)} …`);
    found.push({ words, ...(await burst(instance, how)) });
  }
  byId("burst-answers").replaceChildren(table(`Identical requests at the same moment to instance ${instance.name}`,
    ["Route", "Requests", "Runs of the application", "Answers", "All answered after"],
    found.map(({ words, requests, runs, sources, seconds }) =>
      ({ cells: [words, requests, runs, sources, milliseconds(1000 * seconds)] }))));
  const [coalesced, each] = found;
  const sentence = `${coalesced.requests} identical requests at once: ${plural(coalesced.runs, "run")} of the application with coalescing, ${each.runs} without.`;
  say("burst-said", sentence, "good");
  return sentence;
}

async function burst(instance, how) {
  const before = (await instance.look()).calls.stock;
  const { requests, seconds, statuses } = await instance.fleet.burst(instance.name, how);
  const runs = (await instance.look()).calls.stock - before;
  const counts = {};
  for (const [field, count] of Object.entries(statuses)) {
    const { from } = spoken(field);
    counts[from] = (counts[from] ?? 0) + count;
  }
  const sources = Object.entries(SOURCES).filter(([from]) => counts[from])
    .map(([from, label]) => `${label} ${counts[from]}`).join(", ");
  return { requests, seconds, runs, sources };
}
