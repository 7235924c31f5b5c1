// Both instances, read four times a second: each answer is a tick of the colour of its source.

import { byId, h } from "./dom.js";
import { SOURCES, milliseconds, price } from "./words.js";

const EVERY_MS = 250;
const TICKS = 60;
const TITLES = { fastapi: "FastAPI", starlette: "Starlette" };

export class Lanes {
  #lanes = new Map();
  #paused = false;

  /** `versions` tells which answers are old; `path` which product is read. */
  constructor(fleet, versions, path) {
    Object.assign(this, { fleet, versions, path });
    for (const instance of fleet.instances) {
      const lane = new Lane(instance);
      this.#lanes.set(instance.name, lane);
      byId("lanes").append(lane.node);
      this.#follow(instance, lane);
    }
  }

  part(name) {
    return this.#lanes.get(name).buttons;
  }

  pause(paused) {
    this.#paused = paused;
  }

  async #follow(instance, lane) {
    for (;;) {
      const next = new Promise((resolve) => { setTimeout(resolve, EVERY_MS); });
      if (!this.#paused && !document.hidden) await this.#read(instance, lane);
      await next;
    }
  }

  async #read(instance, lane) {
    try {
      const answer = await instance.ask(this.path());
      lane.add({ ...answer, old: this.versions.isOld(answer) });
    } catch (error) {
      lane.add({ from: "none", words: error.message });
    }
  }
}

class Lane {
  #counts = {};

  constructor({ name, framework, address }) {
    this.buttons = h("span.buttons");
    this.ticks = h("div.ticks", { role: "img" });
    this.price = h("strong.price", "–");
    this.words = h("span.words", "not asked yet");
    this.clocks = h("span.clocks");
    this.sums = h("p.sums");
    this.node = h("section.lane", { "data-instance": name, "aria-label": `Instance ${name}` },
      h("div.who", h("h3", h("span.letter", {}, name), ` ${TITLES[framework]}`),
        h("span.links", h("a", { href: `${address}/_cache/` }, "its cache"), " · ", h("a", { href: `${address}/metrics/` }, "its figures")),
        this.buttons),
      h("p.now", this.price, this.words, this.clocks), this.ticks, this.sums);
  }

  add(answer) {
    const { from, words, old, browser, server, body } = answer;
    this.#counts[from] = (this.#counts[from] ?? 0) + 1;
    if (old) this.#counts.old = (this.#counts.old ?? 0) + 1;
    this.node.dataset.from = from;
    this.price.textContent = body ? price(body.price_cents) : "–";
    this.words.textContent = words + (old ? " – the old price" : "");
    this.clocks.textContent = browser === undefined ? "" : `server ${milliseconds(server)}, browser ${milliseconds(browser)}`;
    this.ticks.append(h("i", { "data-from": from, "data-old": old, title: words }));
    while (this.ticks.childElementCount > TICKS) this.ticks.firstElementChild.remove();
    this.#sum();
  }

  #sum() {
    const parts = Object.entries({ ...SOURCES, none: "No answer", old: "Old price" })
      .filter(([from]) => this.#counts[from])
      .map(([from, label]) => `${label} ${this.#counts[from]}`);
    if (!this.#counts.old) parts.push("Old price 0");
    this.sums.textContent = parts.join(" · ");
    this.ticks.setAttribute("aria-label", `Answers so far: ${parts.join(", ")}`);
  }
}
