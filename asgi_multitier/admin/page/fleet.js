// All instances that share the log, and its last records.

import { ask } from "./api.js";
import { every, facts, h, loaded, scrolling, soft, table, tag } from "./dom.js";
import { count, duration, percent, plural, rate, selector, size } from "./format.js";
import { bar } from "./spark.js";

const EVERY = 5; // seconds
const STATES = { up: "good", silent: "bad", replaced: "warn" };
const SOURCES = { redis: "from what each writes to Redis", sqlite: "from what each writes to the log's file", none: "as there is no shared log" };

export function fleet(root, { index, signal }) {
  const instances = h("div");
  const records = scrolling("Records of the log");
  const offered = index.routes.includes("api/fleet");
  if (!offered) instances.append(soft("This application does not tell of other instances."));
  root.append(instances, h("h2", "Last records of the log"), records);
  every(EVERY, signal, () => Promise.all([
    offered && loaded(instances, () => ask("api/fleet", { signal }), all),
    loaded(records, () => ask("api/log", { query: { limit: 20 }, signal }), log),
  ]));
}

function all({ instances, findings, source, complete }) {
  const up = instances.filter(({ state }) => state === "up").length;
  return [
    soft(`${up} of ${plural(instances.length, "instance")} up, ${SOURCES[source]}.`, !complete && " Not all was read: some may be missing."),
    findings.length > 0 && h("ul.warnings", findings.map((one) => h("li", tag(one.kind, "warn"), ` ${one.text}`))),
    h("div.cards", instances.map(instance)),
    !instances.length && soft("No instance has told of itself yet: that takes some seconds after a start."),
  ];
}

function instance({ state, self, l1, url, behind, ...one }) {
  const offset = Math.abs(one.clock_offset ?? 0);
  const breakers = Object.entries(one.breakers).filter(([, breaker]) => breaker !== "closed");
  return h("section", { "data-tone": STATES[state] },
    h("h3", `${one.host} ${one.pid} `, tag(state, STATES[state]), self && [" ", tag("this one")]),
    l1.limit && bar(l1.bytes, l1.limit),
    facts({
      Log: !one.trusted ? "not trusted" : behind ? `${plural(behind, "record")} behind` : "up to date", Record: count(one.seq),
      Queued: one.queued > 0 && count(one.queued), Lag: one.lag > 0 && duration(one.lag), Hits: percent(one.ratio), "Req/s": rate(one.rate),
      Memory: size(l1.bytes, l1.limit), Entries: count(l1.entries), Cache: one.mode !== "on" && one.mode,
      Breakers: breakers.map((pair) => pair.join(" ")).join(", "), Release: one.release, Version: one.version,
      Clock: offset >= 0.1 && `${duration(offset)} off`, "Last heard": !self && `${duration(one.age)} ago`,
      "Running for": duration(Math.max(0, Date.now() / 1000 - one.started)),
      Admin: !self && (/^https?:\/\//i.test(url) ? h("a", { href: url, rel: "noreferrer" }, url) : url),
    }));
}

const log = ({ position, records }) => table(`Position ${count(position.seq)}; each record tells what was dropped`, [
  ["#Record", (row) => count(row.seq)], ["#Age", (row) => duration(row.age)], ["From", (row) => (row.own ? "this process" : row.node.slice(0, 8) || "–")],
  ["Drops", (row) => (row.selectors.map(selector).join(", ") || (row.updates ? plural(row.updates, "update") : "–")) + (row.more ? ` and ${count(row.more)} more` : "")],
], records, "This process has read no record since it started.");
