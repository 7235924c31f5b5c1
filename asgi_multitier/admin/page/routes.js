// The routes: what holds for each, how it does, and what is odd about it.

import { ask } from "./api.js";
import { code, h, loaded, refresh, scrolling, soft, table, tag } from "./dom.js";
import { brief, count, duration, percent, rate, selector, tally } from "./format.js";
import { known, onNews } from "./stats.js";

const TONES = { error: "bad", warning: "warn" };
let order = { column: 1, down: true };

export function routes(root, { index, signal }) {
  const shown = scrolling("Routes");
  const findings = h("div");
  let report = { routes: [], findings: [] };
  root.append(soft("A route leads to its entries."), findings, shown);
  if (index.routes.includes("api/routes")) {
    loaded(findings, () => ask("api/routes", { signal }), (answer) => {
      report = answer;
      draw();
      return found(answer.findings);
    });
  }
  onNews(signal, draw);

  function draw() {
    const rows = joined(report, known.stats?.routes ?? [], known.history.now?.routes);
    const empty = known.failure?.message ?? (known.stats ? "No route is known yet." : "Loading …");
    refresh(shown, table("Routes with their figures", COLUMNS, rows, empty, { ...order, change: (next) => { order = next; draw(); } }));
  }
}

/** Rules and figures as one: figures belong to the row of the route that is cached. */
function joined({ routes: rules, findings }, stats, now) {
  const figures = new Map(stats.map((row) => [row.route, { ...row, now: now?.get(row.route) }]));
  const rows = rules.map((rule) => {
    const row = rule.cached || !rule.methods.length || rule.methods.includes("GET") ? figures.get(rule.route) : null;
    if (row) figures.delete(rule.route);
    return { ...rule, ...row, findings: findings.filter(({ route }) => route.includes(` ${rule.route} (${rule.endpoint})`)) };
  });
  const bare = { methods: [], tags: [], dropped_by: [], drops: [], findings: [] };
  return [...rows, ...[...figures.values()].map((row) => ({ ...bare, ...row }))];
}

const listed = (items, words) => [...new Set(items.map(words))].join(", ") || "–";
const worst = (findings) => TONES[["error", "warning"].find((level) => findings.some((one) => one.level === level))];

const COLUMNS = [
  ["Route", ({ route, methods }) => [h("a", { href: `#/entries?route=${encodeURIComponent(route)}`, "data-key": `${methods} ${route}` }, route),
    h("small", ` ${methods.join(" ")}`)], ({ route }) => route],
  ["#Requests", (row) => count(row.requests), (row) => row.requests],
  ["#Req/s", (row) => rate(row.now?.requests), (row) => row.now?.requests],
  ["#Hits", (row) => percent(row.ratio), (row) => row.ratio],
  ["#Run p95", (row) => duration(row.runs?.p95), (row) => row.runs?.p95],
  ["#Saved", (row) => duration(row.saved), (row) => row.saved],
  ["#Kept for", (row) => duration(row.lifetime), (row) => row.lifetime],
  ["#Findings", ({ findings: all }) => (all.length ? tag(all.map((one) => one.code).join(" "), worst(all)) : "–"), (row) => row.findings.length],
  ["Passed by", (row) => tally(row.passes) || "–"],
  ["Audits", (row) => tally(row.audits) || "–"],
  ["Tags", (row) => listed(row.tags, String)],
  ["Dropped by", (row) => listed(row.dropped_by, ({ by }) => brief(by))],
  ["Drops", (row) => listed(row.drops, selector)],
];

function found(findings) {
  if (!findings.length) return soft("Nothing is odd about the routes.");
  return h("details", { open: worst(findings) === "bad" }, h("summary", `Findings (${findings.length})`),
    h("ul.findings", findings.map((one) => h("li", tag(`${one.code} ${one.level}`, TONES[one.level]), " ", code(one.route), ` ${one.text}`,
      one.remedy && h("span.soft", ` → ${one.remedy}`)))));
}
