// The start: who does what. Each subject has a module of its own.

import { burstBoth } from "./burst.js";
import { byId, h, say, whenPressed } from "./dom.js";
import { edit } from "./edit.js";
import { Fleet } from "./fleet.js";
import { Lanes } from "./lanes.js";
import { offerParts } from "./parts.js";
import { offerRequests } from "./requests.js";
import { observe } from "./shadow.js";
import { askBoth } from "./tier.js";
import { Versions } from "./versions.js";

const LOOK_MS = 1000;
const NOTES = 8;
const PATH = "/products/7";

/** One line of what has happened, newest first. */
function note(sentence) {
  const time = new Date().toLocaleTimeString("en-GB");
  byId("notes").prepend(h("li", h("time", {}, time), " ", h("span", {}, sentence)));
  while (byId("notes").childElementCount > NOTES) byId("notes").lastElementChild.remove();
}

function offerTheme() {
  const root = document.documentElement;
  byId("theme").addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.style.colorScheme = (root.style.colorScheme || system) === "dark" ? "light" : "dark";
  });
}

function offerPause(lanes) {
  let paused = false;
  byId("pause").addEventListener("click", () => {
    paused = !paused;
    lanes.pause(paused);
    byId("pause").textContent = paused ? "Go on" : "Pause";
  });
}

/** Tell what has changed by itself: what ended, and when an instance follows the log again. */
function tellChanges(fleet) {
  const known = new Map();
  fleet.onChange(() => {
    for (const { name, why_not: why, facts } of fleet.instances) {
      const before = known.get(name);
      if (why && why !== before?.why && why !== "it was killed here") note(`Instance ${name} does not answer: ${why}; restart it.`);
      const trusted = facts?.trusted ?? before?.trusted ?? true;
      if (before && before.trusted && !trusted) note(`${name} has had no contact with Valkey for 3 s: memory is used for 5 s at most.`);
      if (before && !before.trusted && trusted) note(`${name} follows Valkey again; what was stored before counts as dropped.`);
      known.set(name, { why, trusted });
    }
  });
}

async function follow(fleet) {
  for (;;) {
    await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
    if (document.hidden) continue;
    try {
      await fleet.look();
      if (byId("trouble").textContent) say("trouble", "");
    } catch (error) {
      say("trouble", error.message, "bad");
    }
  }
}

async function start() {
  offerTheme();
  const fleet = new Fleet();
  await fleet.look();
  const versions = new Versions();
  const lanes = new Lanes(fleet, versions, () => PATH);
  offerPause(lanes);
  tellChanges(fleet);
  offerParts(fleet, (name) => (name === "valkey" ? byId("valkey-buttons") : lanes.part(name)), note);
  offerRequests(fleet);
  byId("no-token").hidden = fleet.mayAct;
  byId("burst").disabled = !fleet.mayAct;
  const [a, b] = fleet.instances;
  whenPressed(byId("edit-a"), "edited", async () => note(await edit(a, b, PATH, versions)));
  whenPressed(byId("edit-b"), "edited", async () => note(await edit(b, a, PATH, versions)));
  whenPressed(byId("tier"), "tier-said", async () => note(await askBoth(fleet)));
  whenPressed(byId("burst"), "burst-said", async () => note(await burstBoth(a)));
  whenPressed(byId("shadow"), "shadow-said", async () => note(await observe(a)));
  document.body.setAttribute("aria-busy", "false");
  follow(fleet);
}

start().catch((error) => say("trouble", error.message, "bad"));
