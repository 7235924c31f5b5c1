// The second tier is seen to answer: something new is asked of one instance, then of the other.

import { byId, say, table } from "./dom.js";
import { milliseconds } from "./words.js";

const PATIENCE_MS = 10_000;
const STEP_MS = 20;

/** Ask A for something new, wait until Valkey has it, then ask B twice. */
export async function askBoth(fleet) {
  const [a, b] = fleet.instances;
  const path = `/search?q=brass+${Date.now()}`; // what was not asked before
  const before = (await a.look()).shared;
  const answers = [await a.ask(path)];
  if (!fleet.valkey.why_not) await until(async () => (await a.look()).shared > before);
  answers.push(await b.ask(path), await b.ask(path), await a.ask(path));
  byId("tier-answers").replaceChildren(table(`GET ${path}`, ["Of", "Where the answer came from", "Server", "Browser"],
    answers.map(({ name, words, from, server, browser }) =>
      ({ from, cells: [name, words, milliseconds(server), milliseconds(browser)] }))));
  const second = answers[1];
  const sentence = second.from === "l2"
    ? "B did not have it in memory and found it in Valkey, without a run of the application."
    : fleet.valkey.why_not
      ? "Valkey does not run, so B had to ask the application."
      : `B answered ${second.words}.`;
  say("tier-said", sentence, second.from === "l2" ? "good" : "warn");
  return sentence;
}

/** Answers are written to Valkey after they are sent. */
async function until(condition) {
  const begun = performance.now();
  while (!(await condition()) && performance.now() - begun < PATIENCE_MS) {
    await new Promise((resolve) => { setTimeout(resolve, STEP_MS); });
  }
}
