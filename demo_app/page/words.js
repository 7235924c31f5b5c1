// What the fields of an answer say, in words; and how figures are written. Nothing here is asked or shown.

export const SOURCES = {
  l1: "Memory",
  l2: "Valkey",
  coalesced: "Waited",
  source: "Application",
  other: "Uncached",
};

const REASONS = {
  "uri-miss": "nothing valid was stored",
  "vary-miss": "only another variant was stored",
  stale: "what was stored was too old",
  request: "the request asked for that",
  partial: "only a part was stored",
  method: "this is an edit",
};

/** Where an answer came from, by its Cache-Status field (RFC 9211): a key of SOURCES, and a sentence. */
export function spoken(field, name = "this instance") {
  const [, ...parts] = (field ?? "").split(";").map((part) => part.trim());
  const value = (key) => parts.find((part) => part.startsWith(`${key}=`))?.slice(key.length + 1);
  if (parts.includes("hit")) {
    if (value("detail") === "l1") return { from: "l1", words: `from the memory of ${name}` };
    if (value("detail") === "l2") return { from: "l2", words: `from Valkey: ${name} did not have it in memory` };
    return { from: "l1", words: `from the cache: ${value("detail") ?? "a hit"}` };
  }
  if (parts.includes("collapsed")) return { from: "coalesced", words: "waited for the run of an identical request" };
  const why = value("fwd");
  if (!why) return { from: "other", words: "the cache has no part in this answer" };
  const reason = REASONS[why] ?? `the cache was bypassed: ${value("detail") ?? why}`;
  const kept = parts.includes("stored") ? `, kept for ${duration(Number(value("ttl")))}` : "";
  return { from: "source", words: `the application ran: ${reason}${kept}` };
}

/** Milliseconds by a Server-Timing field; undefined if it says nothing of them. */
export function serverTime(field) {
  const found = /(?:^|,)\s*total;dur=([\d.]+)/.exec(field ?? "");
  return found ? Number(found[1]) : undefined;
}

/** A time: "0.3 ms", "154 ms", "2.0 s"; a dash if it is not known. */
export function milliseconds(ms) {
  if (ms === undefined) return "–";
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

export const price = (cents) => (cents / 100).toFixed(2);
export const plural = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;
export const times = (n) => (n === 1 ? "once" : `${n} times`);

export function duration(seconds) {
  if (seconds < 90) return `${seconds} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** Consecutive answers that differ in nothing but their times become one, with the median of each time. */
export function grouped(answers) {
  const groups = [];
  for (const answer of answers) {
    const last = groups.at(-1);
    const same = last && ["name", "words", "version", "old"].every((key) => last.answers[0][key] === answer[key]);
    if (same) last.answers.push(answer);
    else groups.push({ first: groups.reduce((sum, group) => sum + group.answers.length, 1), answers: [answer] });
  }
  return groups.map(({ first, answers: all }) => ({
    ...all[0], first, count: all.length,
    server: median(all.map(({ server }) => server)), browser: median(all.map(({ browser }) => browser)),
  }));
}

function median(values) {
  const known = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  return known[Math.floor(known.length / 2)];
}
