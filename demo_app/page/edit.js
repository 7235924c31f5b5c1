// The edit: on one instance, with reads of the other one at once and repeatedly. Each answer is shown.

import { byId, say, table } from "./dom.js";
import { Versions } from "./versions.js";
import { grouped, milliseconds, plural, price, times } from "./words.js";

const READS = 40;
const PAUSE_MS = 100;
const PATIENCE_MS = 12_000;

/** Edit the product on `here`, and read it on `there` until the new price is seen, 40 times at least. */
export async function edit(here, there, path, versions) {
  count("–", "none", "old prices");
  byId("answers").replaceChildren();
  say("edited", `Both have the old price in memory; then ${here.name} is told the new one …`);
  const [before] = await Promise.all([here.ask(path), there.ask(path)]);
  const cents = before.body.price_cents + 100;
  const edited = await here.send("PUT", `${path}/price`, { price_cents: cents });
  versions.acknowledge(edited.version, edited.ended);
  const answers = await readUntilNew(there, path, edited);
  const own = await here.ask(path);
  show(before, edited, answers.map((answer) => ({ ...answer, old: answer.version < edited.version })), own);
  return tell(here, there, before, edited, answers);
}

async function readUntilNew(there, path, edited) {
  const answers = [];
  for (let isNew = false; !isNew || answers.length < READS;) {
    if (answers.length >= READS) await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
    if (performance.now() - edited.ended > PATIENCE_MS) break;
    const answer = await there.ask(path);
    answers.push(answer);
    isNew ||= answer.version >= edited.version;
  }
  return answers;
}

function tell(here, there, before, edited, answers) {
  const { answers: all, old, oldFor, firstAfter } = Versions.verdict(answers, edited);
  const change = `${price(before.body.price_cents)} → ${price(edited.body.price_cents)}`;
  const end = firstAfter === undefined
    ? `and not the new one within ${PATIENCE_MS / 1000} s`
    : `and the new one ${milliseconds(firstAfter)} after ${here.name} had answered`;
  const promised = here.fleet.valkey.why_not ? "8 s at most, while Valkey is away" : "10 ms, for 99 of 100 edits";
  const sentence = old
    ? `${change} on ${here.name}. ${there.name} showed the old price ${times(old)}, for ${milliseconds(oldFor)} (promised: ${promised}), ${end}.`
    : `${change} on ${here.name}. ${there.name} was asked ${times(all)} since: it never showed the old price, ${end}.`;
  count(old, old ? "warn" : "good", `old ${old === 1 ? "price" : "prices"} in ${plural(all, "answer")} of ${there.name}`);
  say("edited", sentence, old ? "warn" : "good");
  return sentence;
}

function count(figure, tone, words) {
  say("old", figure, tone);
  byId("old-words").textContent = words;
}

function show(before, edited, answers, own) {
  const row = (what, { name, body, words, server, browser, from, old }, note = "") => ({
    from: old ? "old" : from,
    cells: [what, name, price(body.price_cents) + note, words, milliseconds(server), milliseconds(browser)],
  });
  const changed = "the edit: the application changed it, and everything that shows it is dropped";
  const rows = [
    row("before", before),
    row("edit", { ...edited, from: "edit", words: changed }),
    ...grouped(answers).map((group) => row(
      group.count === 1 ? `#${group.first}` : `#${group.first} to #${group.first + group.count - 1}`,
      group, group.old ? " (old)" : "",
    )),
    row("at last", own),
  ];
  byId("answers").replaceChildren(table("All answers, in order; the times of several are their medians",
    ["Answer", "Of", "Price", "Where it came from", "Server", "Browser"], rows));
}
