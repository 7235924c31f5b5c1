// How the cache does: rates of the last minutes, tiers, the log.

import { choice, facts, field, h, notice, refresh, soft, tag } from "./dom.js";
import { count, duration, percent, plural, rate, size, tally } from "./format.js";
import { bar, spark } from "./spark.js";
import { known, onNews, watch } from "./stats.js";

export function overview(root, { signal }) {
  const scope = choice("scope", { process: "This process", host: "This machine" }, known.scope, { change: () => watch(scope.value) });
  const says = notice();
  const shown = h("div");
  root.append(field("Figures of", scope), says.node, shown);
  onNews(signal, () => {
    const { stats, failure } = known;
    says.say(failure ? failure.message + (stats ? " What is shown is older." : "") : "", "bad");
    refresh(shown, stats ? content(stats) : !failure && soft("Loading …"));
  });
}

const content = (stats) => [warnings(stats), h("dl.tiles", tiles(stats)), h("h2", "Tiers"), h("div.cards", stats.tiers.map(tier))];

function warnings({ mode, log, workers, total: { audits } }) {
  const missing = workers.filter((worker) => worker.missing);
  const said = [
    mode === "off" && "The cache is off here: every request goes to the application.",
    mode === "shadow" && "The cache only observes here (shadow): every request goes to the application.",
    !log.trusted && "The log is not trusted now: nothing is served that others may have dropped.",
    audits?.wrong > 0 && `Audits have found ${plural(audits.wrong, "wrong hit")}: clients got something else than the application answers.`,
    log.queued > 0 && `${plural(log.queued, "invalidation")} not sent yet: other instances do not know of them.`,
    missing.length > 0 && `${missing.length} of ${plural(workers.length, "worker")} did not answer; the figures are those of the others.`,
  ].filter(Boolean);
  return said.length > 0 && h("ul.warnings", said.map((sentence) => h("li", sentence)));
}

function tiles({ total, log: { trusted, behind, unheard } }) {
  const { points, now } = known.history;
  const tile = (name, value, note, picture, tone) => h("div", { "data-tone": tone },
    h("dt", name), h("dd", h("strong", value)), h("dd.picture", picture), h("dd", note));
  const pace = (title, name, all, show = rate, before = null) =>
    tile(title, show(now?.[name] ?? before), `${all} since the start`, spark(points, name, title, show));
  return [
    pace("Hit ratio", "ratio", percent(total.ratio), percent, total.ratio),
    pace("Requests a second", "requests", count(total.requests)),
    pace("Runs a second", "runs", count(total.runs.count)),
    pace("Seconds saved a second", "saved", duration(total.saved)),
    tile("Log trusted", trusted ? "yes" : "no", unheard >= 0 && unheard !== null && `heard ${duration(unheard)} ago`, null, trusted ? "good" : "bad"),
    tile("Records behind", count(behind ?? 0), behind ? "still to be read" : "all is read", null, behind ? "warn" : "good"),
  ];
}

function tier({ level, name, breaker, limit, operations, ...one }) {
  const get = operations?.get;
  const healthy = breaker === "closed";
  return h("section",
    h("h3", `L${level} ${name} `, breaker && tag(healthy ? "answers" : `breaker ${breaker}`, healthy ? "good" : "bad")), limit && bar(one.bytes, limit),
    facts({ Memory: one.bytes !== null && size(one.bytes, limit), Entries: one.entries !== null && count(one.entries), Hits: count(one.hits), Writes: count(one.writes),
      Evicted: tally(one.evictions), "Not taken": one.refused > 0 && count(one.refused), "Read, p50": get?.p50 && duration(get.p50),
      "Read, p95": get?.p95 && duration(get.p95), Failures: tally(one.failures) }));
}
