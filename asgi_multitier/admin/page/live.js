// What happens now: the event stream, with pause and filters.

import { open } from "./api.js";
import { anyOf, button, choice, field, form, h, notice, soft, tag, text } from "./dom.js";
import { read } from "./events.js";
import { bytes, clock, duration, plural, selector } from "./format.js";

const MOST = 500; // lines
const WAITS = [1, 2, 5, 10, 30]; // seconds before the next attempt
const TONES = { act: "", breaker: "bad", bypass: "warn", callback: "bad", fill: "good", flush: "bad", gap: "bad", invalidation: "bad", record: "bad",
  refresh: "", refused: "warn", stale: "warn", trust: "warn", wrong: "bad" };
const IN_COLUMNS = ["id", "at", "kind", "route", "key"];
const SHOWS = { seconds: duration, bytes, ttl: (value) => `fresh for ${duration(value)}`,
  own: (value) => (value ? "from here" : "from another instance"), selectors: (value) => value.map(selector).join(", ") };

/** The members of an event that have no column, in words. */
const words = (event) => Object.entries(event).filter(([name, value]) => !IN_COLUMNS.includes(name) && value !== null && value !== "")
  .map(([name, value]) => SHOWS[name]?.(value) ?? `${name} ${value}`).join(", ");

const line = (event) => h("li", h("time", clock(event.at)), tag(event.kind, TONES[event.kind]), h("span", {}, event.route), h("span.words", words(event)),
  event.key ? h("a", { href: `#/entries?key=${encodeURIComponent(event.key)}` }, "entry") : h("span"));

export function live(root, { signal }) {
  const says = notice();
  const kind = choice("kind", anyOf(...Object.keys(TONES)), "", { change: restart });
  const route = text("route", { placeholder: "all" });
  const list = h("ol.events", { "aria-label": "Events, the newest first" });
  const empty = soft("Nothing has happened yet. Plain hits are no events.");
  const pause = button("Pause", () => { paused = !paused; pause.textContent = paused ? "Go on" : "Pause"; draw(); });
  let paused = false;
  let waiting = []; // events that are not shown yet, the oldest first
  let lost = 0;
  let last = ""; // the id of the last event
  let state = [];
  let frame = 0;
  let stream = new AbortController();
  root.append(form("filters", restart, field("Kind", kind), field("Route", route), button("Filter"), pause), says.node, empty, list);
  signal.addEventListener("abort", () => stream.abort());
  restart();

  function restart() {
    stream.abort();
    stream = new AbortController();
    waiting = [];
    list.replaceChildren();
    tell("Connecting …");
    follow(stream.signal, { kind: kind.value, route: route.value.trim() });
  }

  async function follow(left, query) {
    for (let failures = 0; !left.aborted; failures += 1) {
      let wait = WAITS[Math.min(failures, WAITS.length - 1)];
      let reason = "The stream has ended.";
      try {
        const response = await open("api/events", { query, signal: left, headers: last && { "last-event-id": last } });
        tell("Connected.", "good");
        await read(response, (event) => { failures = 0; if (!left.aborted) take(event); });
      } catch (failure) {
        if (left.aborted || failure.left) return;
        reason = failure.status === undefined ? "The stream broke." : failure.message;
        wait = Math.max(wait, failure.wait ?? 0);
        if ([403, 404, 422].includes(failure.status)) wait = 0;
      }
      if (left.aborted) return;
      tell(wait ? `${reason} The next attempt is in ${wait} s.` : reason, "warn");
      if (!wait) return;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * wait); });
    }
  }

  function take({ event: name, data, id }) {
    const event = JSON.parse(data);
    if (name === "hello" && Number(last) > event.id) last = ""; // another process, which counts from the beginning
    if (name === "lost") lost += event.count;
    if (!Object.hasOwn(TONES, name)) return;
    last = id;
    waiting.push(event);
    if (waiting.length > MOST) lost += waiting.splice(0, waiting.length - MOST).length;
    frame ||= requestAnimationFrame(() => { frame = 0; draw(); });
  }

  function tell(...said) {
    state = said;
    draw();
  }

  function draw() {
    if (!paused) {
      list.prepend(...waiting.map(line).reverse());
      waiting = [];
      while (list.children.length > MOST) list.lastChild.remove();
    }
    empty.hidden = list.hasChildNodes();
    const [sentence, tone] = paused ? [`Paused; ${plural(waiting.length, "event")} waiting.`, "warn"] : state;
    const whole = sentence + (lost ? ` ${plural(lost, "event")} could not be shown.` : "");
    if (says.node.textContent !== whole) says.say(whole, tone);
  }
}
