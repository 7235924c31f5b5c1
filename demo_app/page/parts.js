// The buttons that kill and restart, and what is promised in the state that they make.

import { byId, h, say, whenPressed } from "./dom.js";
import { promises } from "./promises.js";

const NAMES = { A: "instance A", B: "instance B", valkey: "Valkey" };

/** `place(name)` is where the button of a part stands. */
export function offerParts(fleet, place, note) {
  const buttons = Object.keys(NAMES).map((name) => new Part(fleet, name, place(name), note));
  const show = () => {
    for (const part of buttons) part.show();
    showPromises(fleet);
  };
  fleet.onChange(show);
  show();
}

class Part {
  constructor(fleet, name, place, note) {
    Object.assign(this, { fleet, name });
    this.button = h("button", { type: "button", "data-part": name });
    place.append(this.button);
    whenPressed(this.button, "part-said", async () => {
      const kill = this.runs;
      say("part-said", `${kill ? "Killing" : "Starting"} ${NAMES[name]} …`);
      const begun = performance.now();
      await (kill ? fleet.kill(name) : fleet.restart(name));
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      const sentence = kill ? `${NAMES[name]} was killed` : `${NAMES[name]} answers again, after ${seconds} s`;
      say("part-said", "");
      note(`${sentence[0].toUpperCase()}${sentence.slice(1)}.`);
    });
  }

  get runs() {
    return !(this.name === "valkey" ? this.fleet.valkey : this.fleet.instance(this.name)).why_not;
  }

  show() {
    const words = `${this.runs ? "Kill" : "Restart"} ${NAMES[this.name]}`;
    // A text that is set again would be read again by a screen reader.
    if (this.button.textContent !== words) this.button.textContent = words;
    this.button.classList.toggle("danger", this.runs);
    this.button.classList.toggle("main", !this.runs);
    this.button.disabled = !this.fleet.mayAct;
  }
}

/** What `promises` is asked with. */
export function stateOf(fleet) {
  const state = { valkey: { runs: !fleet.valkey.why_not } };
  for (const { name, runs, why_not: why, facts } of fleet.instances) {
    state[name] = { runs, why, trusted: facts?.trusted ?? true, queued: facts?.queued ?? 0 };
  }
  return state;
}

function showPromises(fleet) {
  const { title, lines, tone } = promises(stateOf(fleet));
  const place = byId("promises");
  place.dataset.tone = tone;
  byId("valkey").dataset.tone = fleet.valkey.why_not ? "bad" : "good";
  byId("valkey-state").textContent = fleet.valkey.why_not
    ? `does not answer: ${fleet.valkey.why_not}; restart it` : `runs at ${fleet.valkey.address}`;
  const heading = byId("promised");
  if (heading.textContent !== title) heading.textContent = title;
  const list = byId("promise-lines");
  // What has not changed stays, so that it can be selected.
  if ([...list.children].map((line) => line.textContent).join("\n") !== lines.join("\n")) {
    list.replaceChildren(...lines.map((line) => h("li", {}, line)));
  }
}
