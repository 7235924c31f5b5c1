// A careless route and a repaired one, both in shadow: what the cache would have answered, and why that is wrong.

import { byId, h, say, table } from "./dom.js";
import { plural } from "./words.js";

const FIELD = "accept-currency";
const WANTED = ["EUR", "USD", "EUR", "GBP", "USD", "EUR", "SEK", "EUR", "USD", "EUR", "GBP", "EUR"];
const ROUTES = ["/offer", "/offer/repaired"]; // the careless one, and the repaired one
const PATIENCE_MS = 20_000;
const STEP_MS = 200;

/** Let customers of several currencies ask both routes of one instance, and show what shadow has found. */
export async function observe(instance) {
  say("shadow-said", `${WANTED.length} customers ask …`);
  const before = await observed(instance);
  const product = 1 + Math.floor(Math.random() * 200);
  for (const path of ROUTES) {
    for (const wanted of WANTED) await ask(instance, `/products/${product}${path}`, wanted);
  }
  say("shadow-said", "Every customer was answered rightly. What differs is judged after a second: an edit on B may have explained it …");
  const [careless, repaired] = await judged(instance, before);
  show([careless, repaired]);
  const sentence = tell(careless, repaired);
  say("shadow-said", sentence, careless.wrong && !repaired.wrong ? "good" : "warn");
  return sentence;
}

/** What was found of both routes so far. */
async function observed(instance) {
  const { routes } = (await instance.ask("/report")).body;
  return ROUTES.map((path) => routes.find(({ route }) => route.endsWith(path)) ?? { requests: 0, hits: 0, wrong: 0, findings: [] });
}

/** The same when all requests since are in it. */
async function judged(instance, before) {
  const begun = performance.now();
  for (;;) {
    const now = await observed(instance);
    const whole = now.every(({ requests }, i) => requests >= before[i].requests + WANTED.length);
    if (whole || performance.now() - begun > PATIENCE_MS) return now;
    await new Promise((resolve) => { setTimeout(resolve, STEP_MS); });
  }
}

async function ask(instance, path, wanted) {
  const { body } = await instance.ask(path, { headers: { [FIELD]: wanted } });
  if (body.currency !== wanted) throw new Error(`A customer who pays in ${wanted} was answered in ${body.currency}.`);
}

/** The sentence of what was found. */
export function tell(careless, repaired) {
  const [cause] = careless.findings;
  if (!cause) return `Of ${plural(careless.hits, "answer")} that the cache would have given, none would have been wrong so far.`;
  const why = cause.name ? `they differ by the ${cause.cause} ${cause.name}` : "these requests are too few to tell why";
  return `Of ${plural(careless.hits, "answer")} that the cache would have given, ${careless.wrong} would have been wrong: `
    + `${why}. Of the repaired route's ${repaired.hits}, ${repaired.wrong}. `
    + "No customer got a wrong one.";
}

function show(routes) {
  const rows = routes.map(({ route, requests, hits, wrong, findings }) => ({
    from: wrong ? "old" : "l1",
    cells: [route, requests, hits, wrong, findings.map(({ remedy }) => remedy).join(" ") || "–"],
  }));
  const proposed = routes[0].annotation;
  byId("shadow-answers").replaceChildren(
    table("What shadow has found since the start", ["Route", "Requests", "Would be hits", "Would be wrong", "What to do"], rows),
    ...(proposed ? [h("p.soft", "Proposed, to be pasted above the endpoint:"), h("pre", h("code", {}, proposed))] : []),
  );
}
