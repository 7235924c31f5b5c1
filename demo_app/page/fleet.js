// The parts of the demo: what runs, why something does not, and the buttons that kill and restart.

import { serverTime, spoken } from "./words.js";

const TOKEN = "token";
const PATIENCE_MS = 10_000;

/** A sentence for the page: what does not answer, and what to do. */
export class Absent extends Error {}

/** One instance: asks it, and knows why it does not answer. */
class Instance {
  constructor(fleet, told) {
    Object.assign(this, { fleet, facts: undefined, leaving: false, underway: new Set() }, told);
  }

  get runs() {
    return !this.why_not && !this.leaving;
  }

  /** Send a request, past the browser's own cache; the answer with its source in words and both times. */
  async ask(path, options = {}) {
    if (!this.runs) throw this.absence();
    const asked = this.#ask(path, options);
    this.underway.add(asked);
    try {
      return await asked;
    } finally {
      this.underway.delete(asked);
    }
  }

  /** Ask nothing more, and return when what was asked is answered: the browser notes each broken connection. */
  async leave() {
    this.leaving = true;
    await Promise.allSettled(this.underway);
  }

  async #ask(path, options) {
    const started = performance.now();
    let response, text;
    try {
      response = await fetch(this.address + path, {
        credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...options,
      });
      text = await response.text();
    } catch (error) {
      if (error.name === "TimeoutError") throw new Absent(`Instance ${this.name} did not answer within ${PATIENCE_MS / 1000} s.`);
      await this.fleet.look();
      throw this.absence();
    }
    const ended = performance.now();
    const field = response.headers.get("cache-status");
    if (!response.ok) {
      throw new Error(`Instance ${this.name} answered ${path} with ${response.status}.`);
    }
    const body = text && JSON.parse(text);
    return {
      name: this.name, path, field, ...spoken(field, this.name), body, version: body?.version, started, ended,
      browser: ended - started, server: serverTime(response.headers.get("server-timing")),
    };
  }

  send(method, path, body) {
    return this.ask(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  }

  absence() {
    const why = this.why_not ? `${this.why_not}; restart it` : "it is not reached";
    return new Absent(`Instance ${this.name} does not answer: ${why}.`);
  }

  /** Ask it for its state: how often its application ran, and what it knows of the log. */
  async look() {
    this.facts = this.runs ? (await this.ask("/instance")).body : undefined;
    return this.facts;
  }
}

/** All parts, by what the process that has started them tells. */
export class Fleet {
  #listeners = [];
  #token;

  constructor() {
    this.instances = [];
    this.valkey = { why_not: "" };
    this.#token = givenToken();
  }

  get mayAct() {
    return Boolean(this.#token);
  }

  instance(name) {
    return this.instances.find((one) => one.name === name);
  }

  /** Call this after each look at the parts. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  async look() {
    this.#take(await this.#send("/fleet"));
    const running = this.instances.filter((one) => one.runs);
    // One that ends just now is told at the next look.
    await Promise.allSettled(running.map((one) => one.look()));
    for (const listener of this.#listeners) listener();
  }

  async kill(name) {
    const instance = this.instance(name);
    await instance?.leave();
    try {
      await this.#act(`/parts/${name}/kill`);
    } finally {
      if (instance) instance.leaving = false;
    }
  }

  restart(name) {
    return this.#act(`/parts/${name}/restart`);
  }

  burst(name, how) {
    return this.#send(`/bursts/${name}/${how}`, "POST");
  }

  async #act(path) {
    try {
      this.#take(await this.#send(path, "POST"));
    } finally {
      await this.look();
    }
  }

  #take({ instances, valkey }) {
    this.valkey = valkey;
    if (!this.instances.length) this.instances = instances.map((told) => new Instance(this, told));
    for (const told of instances) Object.assign(this.instance(told.name), told);
  }

  async #send(path, method = "GET") {
    let response;
    try {
      response = await fetch(path, {
        method, cache: "no-store", headers: this.#token ? { authorization: `Bearer ${this.#token}` } : {},
      });
    } catch {
      throw new Absent("Nothing answers any more: make demo was stopped. Start it again and open the address that it prints.");
    }
    const body = await response.json();
    if (!response.ok) throw new Error(`This did not work: ${body.detail}.`);
    return body;
  }
}

/** From the address that the terminal has printed; kept for a reload, and out of the address bar. */
function givenToken() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem(TOKEN, given);
    history.replaceState(null, "", location.pathname);
  }
  return given || sessionStorage.getItem(TOKEN) || "";
}
