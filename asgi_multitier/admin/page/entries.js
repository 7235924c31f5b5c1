// What this process holds in memory: a list with filters, and one entry in detail.

import { ask, reasonAgainst } from "./api.js";
import { anyOf, attempt, button, choice, code, facts, field, form, h, loaded, notice, refresh, scrolling, soft, table, tag, text, tick } from "./dom.js";
import { brief, bytes, count, duration, selector } from "./format.js";
import { outcome } from "./invalidate.js";

const TONES = { fresh: "good", stale: "warn", dropped: "bad" };
const MEANS = {
  fresh: "It is served.", stale: "It is served where its rule allows stale answers.", expired: "It is past all use.",
  dropped: "It was invalidated, and is not served.",
};
const SORTS = { "": "none", size: "size", age: "age", ttl: "fresh for", uses: "uses" };
const MAX_CALLS = 20; // for a page on which nothing was found yet

export function entries(root, { index, params, signal }) {
  const disabled = index.rights !== "operator" && index.redact; // texts that are left out could be guessed
  const only = (name, title, placeholder) => field(title, text(name, { disabled, placeholder: disabled ? "operators only" : placeholder }));
  const reveal = h("input", { type: "checkbox", disabled, checked: !index.redact });
  const says = notice();
  const place = scrolling("Entries");
  const more = h("p.buttons");
  const detail = h("section", { "aria-live": "polite" });
  const filter = form("filters", begin,
    field("Route", text("route", { value: params.get("route") ?? "" })),
    field("Kind", choice("kind", anyOf("response", "value", "variants"))),
    field("State", choice("state", anyOf("fresh", "stale", "dropped", "expired"))),
    field("Largest first by", choice("sort", SORTS)),
    only("tag", "Tag", "product:1"), only("path", "Path", "/products/1"), only("glob", "Pattern", "/products/*"),
    tick(`Show paths, names and tags${disabled ? " (operators only)" : ""}`, reveal), button("Show", null, { kind: "main" }));
  root.append(soft("What this process holds in memory. Other processes hold their own."), filter, says.node, place, more, detail);
  let rows = [];
  let asked = {};

  function begin() {
    rows = [];
    asked = { ...Object.fromEntries(new FormData(filter)), reveal: Number(index.redact && reveal.checked) };
    detail.replaceChildren();
    return page();
  }

  async function page(cursor) {
    more.replaceChildren();
    says.say("Reading …");
    try {
      let scanned = 0;
      let answer = { cursor };
      for (let call = 0; call < MAX_CALLS; call += 1) {
        answer = await ask("api/entries", { query: { ...asked, cursor: answer.cursor }, signal });
        scanned += answer.scanned;
        if (answer.entries.length || !answer.cursor) break;
      }
      rows = [...rows, ...answer.entries];
      refresh(place, table("Entries in memory", columns(show), rows, "Nothing of this kind is held here."));
      says.say(`${count(rows.length)} shown; ${count(scanned)} of ${count(answer.total)} entries were looked at.`);
      if (answer.cursor) more.append(button("More", () => page(answer.cursor)));
    } catch (failure) {
      says.failed(failure);
    }
  }

  async function show(key) {
    detail.replaceChildren();
    const rules = () => (index.routes.includes("api/routes") ? ask("api/routes", { signal }) : { routes: [] });
    await loaded(detail, () => Promise.all([ask(`api/entries/${key}`, { query: { reveal: asked.reveal }, signal }), rules()]), ([entry, { routes }]) => [
      h("h2", { tabindex: "-1" }, "Entry ", code(entry.path ?? entry.name ?? key)),
      about(entry, routes.find((row) => row.route === entry.route && row.cached)),
      dropping(entry, index, says, begin)]);
    detail.querySelector("h2")?.focus();
  }

  begin().then(() => params.get("key") && show(params.get("key")));
}

const columns = (show) => [
  ["Entry", (row) => button(row.path ?? row.name ?? `${row.key.slice(0, 12)}…`, () => show(row.key), { kind: "plain", key: row.key })],
  ["State", (row) => tag(row.state, TONES[row.state])],
  ["Kind", (row) => row.kind],
  ["Route", (row) => row.route || "–"],
  ["#Status", (row) => row.status ?? "–"],
  ["#Size", (row) => bytes(row.size)],
  ["#Age", (row) => duration(row.age)],
  ["#Fresh for", (row) => (row.ttl === null ? "ever" : row.ttl > 0 ? duration(row.ttl) : "–")],
  ["#Uses", (row) => count(row.uses)],
  ["Tags", (row) => row.tags.join(", ") || "–"],
];

function about({ state, born, log, ttl, body, fields, ...entry }, rule) {
  const made = born.gen === log.gen ? `at record ${count(born.seq)} of the ${count(log.seq)} that this process has applied` : "in another generation of the log";
  const some = (seconds) => seconds > 0 && duration(seconds);
  return [
    h("p", tag(state, TONES[state]), ` ${MEANS[state]} It was made ${made}.`),
    rule && h("p", `It is here by the ${rule.chosen_by} of ${rule.methods.join(", ")} ${rule.route}, for ${duration(rule.lifetime)}. Dropped by `,
      rule.dropped_by.map((one) => `${brief(one.by)} (${selector(one)})`).join(", ") || "no route: by age, or by hand", "."),
    facts({ Key: code(entry.key), Kind: entry.kind, Route: entry.route, Path: entry.path, Name: entry.name, Age: duration(entry.age), "Fresh for": ttl === null ? "ever" : some(ttl), "Kept for": some(entry.keep), "Refreshed in": some(entry.refresh_in),
      "Stale while revalidating": some(entry.stale_while_revalidate), "Stale if error": some(entry.stale_if_error),
      "Validated": entry.always_validate && "at each use", "Run took": duration(entry.cost), Memory: bytes(entry.size), Content: body && bytes(body.bytes),
      Codings: entry.codings.join(", "), Tags: entry.tags.join(", "), "Header fields": entry.headers.join(", "), Variants: entry.variants?.length, ...fields }),
  ];
}

function dropping(entry, index, says, again) {
  const reason = reasonAgainst(index, "api/invalidate");
  const press = button("Drop it …", () => attempt(says, press, async () => {
    const { path, name } = await ask(`api/entries/${entry.key}`, { query: { reveal: Number(index.redact) } });
    says.say("");
    if (!confirm(`Drop ${path ? `${path} with any query` : name} in all instances?`)) return;
    const answer = await ask("api/invalidate", { body: { ...(path ? { paths: [path] } : { keys: [name] }), dry_run: false, wait: 2 } });
    await again();
    says.say(...outcome(answer));
  }), { kind: "danger", reason });
  return h("p.buttons", press, h("small", reason));
}
