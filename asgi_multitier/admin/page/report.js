// What shadow mode and audits have found: figures, wrong answers with their causes, and what to write.

import { ask, reasonAgainst } from "./api.js";
import { attempt, button, choice, code, field, form, h, loaded, notice, scrolling, soft, table, tag } from "./dom.js";
import { bytes, count, duration, percent, plural } from "./format.js";

const OF_MUTATIONS = ["edit", "late-commit", "tag"]; // causes whose remedy is written at the mutation that they name
const MET = ["hit", "stale", "miss", "coalesced", "no-rule"];
const MODES = { on: "On", shadow: "Shadow: observe", off: "Off" };

export function report(root, { index, signal }) {
  const says = notice();
  const shown = h("div", { "aria-live": "polite" });
  const reason = reasonAgainst(index, "api/report");
  const mode = choice("mode", MODES, index.mode, { disabled: Boolean(reason) });
  const press = button("Switch", null, { reason });
  const clear = button("Begin again …", () => confirm("Forget what was observed in all workers of this machine?") && attempt(says, clear, async () => {
    await ask("api/report", { body: { clear: true, scope: "host" }, signal });
    says.say("It begins again.", "good");
    look();
  }), { reason });
  root.append(soft("What the cache would have answered, compared with what the application has answered: in mode shadow, by rules with shadow=True, and by audits of hits."),
    form("filters", () => (mode.value === "on" || confirm("Let every request to this machine go to the application?")) && attempt(says, press, change),
      field("All workers here", mode), press,
      button("Look again", look), clear, h("small", reason)), says.node, shown);
  look();

  function look() {
    loaded(shown, () => ask("api/report", { query: { scope: "host" }, signal }), found);
  }

  async function change() {
    const { workers } = await ask("api/mode", { body: { mode: mode.value, scope: "host" }, signal });
    const missing = workers.filter((worker) => worker.missing);
    index.mode = mode.value;
    says.say(`The mode is ${mode.value} in ${workers.length - missing.length} of ${plural(workers.length, "worker")}.`, missing.length ? "warn" : "good");
    look();
  }
}

function found({ routes, workers, wrong, requests, seconds, pending, observes }) {
  const missing = workers.filter((worker) => worker.missing).length;
  return [
    h("p", tag(plural(wrong, "wrong answer"), wrong ? "bad" : "good"), ` among ${plural(requests, "request")} in ${duration(seconds)}`, pending > 0 && `, ${count(pending)} still compared`, !observes && ", not observed now"),
    missing > 0 && h("ul.warnings", h("li", `${missing} of ${plural(workers.length, "worker")} did not answer; what is shown is that of the others.`)),
    within(scrolling("Figures by route"), table("Without a rule: the figures of what is proposed", COLUMNS, routes, "No request was observed yet.")),
    h("div.cards.wide", routes.filter((route) => route.findings.length || route.annotation || route.why).map(told)),
  ];
}

function within(place, content) {
  place.append(content);
  return place;
}

const of = (route, ruled, possible) => (route.rule ? route[ruled] : route[possible]);

const COLUMNS = [
  ["Route", ({ route, rule }) => [route, !rule && [" ", tag("no rule")]]],
  ["#Requests", (row) => count(row.requests)],
  ["#Hits", (row) => (row.rule || row.possible_hits ? percent(of(row, "hits", "possible_hits") / row.requests) : "–")],
  ["#Saved", (row) => duration(of(row, "saved_seconds", "possible_seconds"))],
  ["#Content", (row) => (row.rule ? bytes(row.saved_bytes) : "–")],
  ["#Memory", (row) => bytes(row.memory)],
  ["#Wrong", ({ rule, wrong }) => (wrong ? tag(count(wrong), "bad") : rule ? "0" : "–")],
  ["#Lifetime that fits", (row) => duration(row.lifetime)],
  ["Not met", ({ would }) => Object.entries(would).filter(([word]) => !MET.includes(word)).map(([word, number]) => `${word} ${count(number)}`).join(", ") || "–"],
];

function told(route) {
  return h("section", { "data-tone": route.wrong ? "bad" : route.findings.length ? "warn" : "good" },
    h("h2", route.route),
    route.findings.length > 0 && h("ol.findings", route.findings.map((one) => cause(one, route.rule))),
    route.why && h("p", `${route.why}.`),
    route.aged > 0 && soft(`${plural(route.aged, "hit")} of older data, within their lifetime.`),
    route.share < 1 && soft(`${percent(route.share)} of its keys were compared.`),
    [...pasted(route)].map(([where, texts]) => paste(where, texts.join("\n"), where !== route.route)));
}

const cause = ({ cause: kind, name, others, wrong, place, confidence, remedy }, rule) => h("li",
  [{ cause: kind, name }, ...others].map((one, at) => [at > 0 && " or ", tag(`${one.cause} ${one.name}`.trim(), "bad")]),
  ` ${rule ? plural(wrong, "wrong answer") : "answers differ"}`, place && [" at ", code(place)], confidence > 0 && `, ${percent(confidence)} sure`, ". ", h("strong", `${remedy}.`));

/** What can be pasted, by the route that it is for: that of the route itself stands for all of its findings. */
function pasted({ route, annotation, findings }) {
  const all = new Map(annotation ? [[route, [annotation]]] : []);
  for (const one of findings) {
    if (one.annotation && OF_MUTATIONS.includes(one.cause)) all.set(one.name, [...new Set([...(all.get(one.name) ?? []), one.annotation])]);
  }
  return all;
}

function paste(where, words, elsewhere) {
  const text = h("pre", { tabindex: "0", "aria-label": `Annotation for ${where}` }, words);
  const says = notice();
  return [elsewhere && h("p", "At ", code(where), ":"), h("div.paste", text, button("Copy", async () => {
    getSelection().selectAllChildren(text);
    // Over plain HTTP a browser has no clipboard for pages.
    await (navigator.clipboard?.writeText(words) ?? Promise.reject()).then(() => says.say("Copied.", "good"), () => says.say("It is selected: copy it.", "warn"));
  }), says.node)];
}
