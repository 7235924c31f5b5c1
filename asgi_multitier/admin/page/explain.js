// What would become of a request that is not sent: the verdict, the steps to it, the remedy.

import { ask, reasonAgainst } from "./api.js";
import { parse } from "./curl.js";
import { attempt, button, code, facts, field, form, h, notice, refresh, soft, tag } from "./dom.js";
import { bytes, count, duration, plural, selector } from "./format.js";

const TONES = { hit: "good", stale: "warn", dropped: "warn", validate: "warn", refused: "bad", bypass: "bad" };

export function explain(root, { index, signal }) {
  const reason = reasonAgainst({ ...index, read_only: false }, "api/explain");
  const says = notice();
  const preview = h("div");
  const result = h("section", { "aria-live": "polite" });
  const pasted = h("textarea", { rows: 5, spellcheck: "false", disabled: Boolean(reason), input: look,
    placeholder: "https://shop.example/products/1\ncurl 'https://shop.example/products/1' -H 'Accept-Language: de'" });
  const press = button("Explain", null, { kind: "main", reason });
  root.append(soft("Paste a URL or a command of curl. The application is not run, and nothing is counted."),
    form("", () => attempt(says, press, async () => {
      const { method, url, headers } = parse(pasted.value);
      const answer = await ask("api/explain", { body: { method, url, headers: joined(headers) }, signal });
      says.say("");
      refresh(result, answered(answer));
    }), field("Request", pasted), preview, h("p.buttons", press, h("small", reason))), says.node, result);

  function look() {
    says.say("");
    try {
      refresh(preview, pasted.value.trim() && read(parse(pasted.value)));
    } catch (error) {
      refresh(preview, soft(error.message));
    }
  }
}

/** Lines of the same name as one (RFC 9110 §5.3); cookies have a separator of their own. */
function joined(headers) {
  const lines = {};
  for (const [name, value] of headers) lines[name] = name in lines ? lines[name] + (name === "cookie" ? "; " : ", ") + value : value;
  return lines;
}

const read = ({ method, url, headers, body, ignored }) => [
  h("p", "Read as ", code(`${method} ${url}`), headers.length > 0 && ` with ${plural(headers.length, "field")}: ${headers.map(([name]) => name).join(", ")}`),
  body && soft("Its content is not sent: the answer is for the request without it."),
  ignored.length > 0 && soft(`Not taken into account: ${ignored.join(", ")}`),
];

function answered({ rule, key, log, reason, entries, ...one }) {
  const step = (name, ...words) => h("li", h("strong", `${name}: `), words);
  const drops = (title, list) => list.length > 0 && [h("h3", title), h("ul", list.map((drop) =>
    h("li", drop.by && `${drop.by}: `, code(selector(drop)), !drop.certain && " (perhaps)")))];
  return [
    h("h2", tag(one.verdict, TONES[one.verdict]), ` ${one.sentence}.`),
    one.remedy && h("p.remedy", h("strong", "What to do: "), `${one.remedy}.`),
    one.docs && soft("See ", h("a", { href: one.docs, rel: "noreferrer" }, one.docs)),
    h("h3", "Step by step"),
    h("ol.steps",
      step("Rule", rule ? `${rule.endpoint}, by ${rule.chosen_by}; ${rule.lifetime === null ? "not kept" : `kept for ${duration(rule.lifetime)}`}` : "no route is found"),
      step("Request", reason ? `not answered from the cache: ${reason}` : "nothing in it forbids an answer from the cache"),
      key && step("Key", `made of ${key.parts.join(", ")}; digest `, code(key.digest), key.values && facts(key.values)),
      key && !entries.length && step("Tiers", "none holds an entry for this key"),
      entries.map((entry) => step(`L${entry.tier} ${entry.name}`, held(entry))),
      log && step("Log", `position ${count(log.position.seq)}; it is ${log.trusted ? "" : "not "}trusted`)),
    one.tags.length > 0 && h("p", h("strong", "Tags: "), one.tags.join(", ")),
    drops("What drops it", one.dropped_by), drops("What its success drops", one.drops),
    one.unknown.length > 0 && soft(`Not asked, and may decide: ${one.unknown.join(", ")}`),
  ];
}

const held = ({ key, state, kind, size, age, ttl, born, vary, dropped_because: causes }) => [
  h("a", { href: `#/entries?key=${encodeURIComponent(key)}` }, state),
  ` ${kind} of ${bytes(size)}, ${duration(age)} old, ${ttl > 0 ? `fresh for ${duration(ttl)}, ` : ""}made at record ${count(born.seq)}`,
  vary?.length > 0 && `; differs by ${vary.join(", ")}`,
  causes?.length > 0 && h("ul", causes.map((one) => h("li", "Dropped by ", code(one.kind ? selector(one) : one.cause), one.record > 0 && `, record ${count(one.record)}`))),
];
