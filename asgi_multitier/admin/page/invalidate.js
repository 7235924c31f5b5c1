// Dropping by hand: choose, count what that would drop, then drop.

import { ask, reasonAgainst } from "./api.js";
import { attempt, button, choice, code, field, form, h, notice, refresh, soft, tag, text } from "./dom.js";
import { bytes, count, plural, selector } from "./format.js";

const KINDS = { tags: "Tag", paths: "Path", below: "Path and all below", routes: "Route", patterns: "Pattern", keys: "Key of a value", all: "Everything" };
const EXAMPLES = { tags: "product:1", paths: "/products/1", below: "/products", routes: "/products/{id} id=1", patterns: "/products/*", keys: "user:1" };

/** The members of a request for what was chosen: `[[kind, words]]`; a route may have parameters, `product id=1`. */
export function bodyOf(chosen) {
  const body = {};
  for (const [kind, words] of chosen) {
    if (kind === "all") body.all = true;
    else (body[kind] ??= []).push(kind === "routes" ? route(words) : words);
  }
  return body;
}

function route(words) {
  const [name, ...pairs] = words.split(/\s+/);
  return pairs.length ? { name, params: Object.fromEntries(pairs.map((pair) => /^([^=]+)=?(.*)$/.exec(pair).slice(1))) } : name;
}

/** What became of it: the sentence and its tone. */
export function outcome({ queued, position, seen }) {
  if (queued) return ["It is dropped here. The log does not answer: others are told when it does.", "warn"];
  if (!seen) return [`Dropped, as record ${count(position.seq)} of the log.`, "good"];
  const said = `Dropped, and seen by ${seen.by} of ${plural(seen.of, "instance")}.`;
  return seen.by < seen.of ? [`${said} The others drop it when they read the log.`, "warn"] : [said, "good"];
}

export function invalidate(root, { index, signal }) {
  const reason = reasonAgainst(index, "api/invalidate");
  const disabled = Boolean(reason);
  const says = notice();
  const list = h("ul.chosen", { "aria-label": "Chosen" });
  const result = h("section", { "aria-live": "polite" });
  const kind = choice("kind", KINDS, "tags", { disabled, change: draw });
  const words = text("words", { disabled });
  const confirm = text("confirm", { disabled, input: draw });
  const wordsField = field("What", words);
  const confirmField = field(`Type ${index.namespace} to drop everything`, confirm);
  const why = h("small", { id: "why" });
  const counting = button("Count", () => attempt(says, counting, tally).then(draw), { kind: "main", reason });
  const dropping = button("Drop", () => attempt(says, dropping, drop).then(draw), { kind: "danger", reason });
  let chosen = [];
  let counted; // what the last count was for
  dropping.setAttribute("aria-describedby", "why");
  root.append(soft("Choose what is to be dropped in all instances, count what that is in this process, then drop it."),
    form("filters", add, field("By", kind), wordsField, button("Add", null, { reason })),
    list, confirmField, h("p.buttons", counting, dropping, why), says.node, result);
  draw();

  function add() {
    const all = kind.value === "all";
    const said = words.value.trim();
    if (said || all) chosen = [...chosen, [kind.value, all ? "" : said]];
    words.value = "";
    says.say(said || all ? "" : "Say what is to be dropped.", "bad");
    result.replaceChildren();
    draw();
  }

  function send(more) {
    return ask("api/invalidate", { body: { ...bodyOf(chosen), ...(everything() && { confirm: confirm.value }), ...more }, signal });
  }

  async function tally() {
    const { here, unmatched } = await send({ dry_run: true });
    counted = chosen;
    if (here.entries) says.say(`${plural(here.entries, "entry", "entries")} (${bytes(here.bytes)}) in this process would be dropped. Other processes hold their own.`, "good");
    else says.say("This process holds nothing of it. Other processes and the shared tiers may.", "warn");
    refresh(result, unmatched?.length > 0 && h("p", "Nothing here has ", code(unmatched.map(selector).join(", ")), ". Is it written as it should be?"));
  }

  async function drop() {
    const answer = await send({ dry_run: false, wait: 2 });
    says.say(...outcome(answer));
    refresh(result, answer.seen && h("ul", answer.seen.instances.map((one) =>
      h("li", `${one.host} ${one.pid} `, one.seen ? tag("seen", "good") : tag("not yet", "warn"), ` record ${count(one.seq)}`))));
    chosen = [];
    confirm.value = "";
  }

  function everything() {
    return chosen.some(([name]) => name === "all");
  }

  function draw() {
    const unnamed = everything() && confirm.value !== index.namespace;
    why.textContent = reason || (!chosen.length ? "Nothing is chosen yet." : unnamed ? "Type the namespace first." : counted !== chosen ? "Count first." : "");
    dropping.disabled = why.textContent !== "";
    counting.disabled = disabled || !chosen.length || unnamed;
    wordsField.hidden = kind.value === "all";
    confirmField.hidden = !everything();
    words.placeholder = disabled ? "" : EXAMPLES[kind.value] ?? "";
    refresh(list, chosen.map((one) => h("li", `${KINDS[one[0]]} `, one[1] && code(one[1]),
      button("Remove", () => { chosen = chosen.filter((other) => other !== one); draw(); words.focus(); }))));
  }
}
