// The page: signing in, and which part of it is shown.

import { ask, signedIn, signIn, whenRefused } from "./api.js";
import { button, field, form, h, notice, refresh, tag, tick } from "./dom.js";
import { entries } from "./entries.js";
import { explain } from "./explain.js";
import { fleet } from "./fleet.js";
import { invalidate } from "./invalidate.js";
import { live } from "./live.js";
import { overview } from "./overview.js";
import { report } from "./report.js";
import { routes } from "./routes.js";
import { forget, known, watch } from "./stats.js";

const PARTS = { overview, routes, entries, explain, report, invalidate, live, fleet };
const title = (name) => name[0].toUpperCase() + name.slice(1);
const [main, tabs, where, who, skip] = ["main", "tabs", "where", "who", "skip"].map((id) => document.getElementById(id));
let index = null; // what `GET api` says, once signed in
let shown = new AbortController();

/** Leave what is shown; the heading of what comes. */
function clear(name, namespace = "") {
  shown.abort();
  shown = new AbortController();
  document.title = namespace ? `${name} – ${namespace}` : name;
  where.textContent = namespace;
  const heading = h("h1", { tabindex: "-1" }, name);
  main.replaceChildren(heading);
  return heading;
}

/** Show the part that the address names. */
function show() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const name = Object.hasOwn(PARTS, path) ? path : "overview";
  const heading = clear(title(name), index.namespace);
  refresh(tabs, h("ul", Object.keys(PARTS).map((other) =>
    h("li", h("a", { href: `#/${other}`, "aria-current": other === name && "page" }, title(other))))));
  PARTS[name](main, { index, params: new URLSearchParams(query), signal: shown.signal });
  heading.focus();
}

/** The form for the token; the sentence says why it is shown again. */
function askToken(sentence = "") {
  index = null;
  signIn(null, false);
  forget();
  tabs.hidden = true;
  who.replaceChildren();
  clear("Sign in");
  const says = notice();
  const token = h("input", { type: "password", autocomplete: "off" });
  const keep = h("input", { type: "checkbox" });
  const press = button("Sign in", null, { kind: "main" });
  main.append(form("sign-in", () => { press.disabled = true; signIn(token.value.trim(), keep.checked); begin(); },
    field("Token", token, "As given to cache.admin(token=...). Leave it empty where a proxy says who you are."),
    tick("Keep it in this tab until the tab is closed", keep), h("p.buttons", press)), says.node);
  token.focus();
  says.say(sentence, "bad");
}

/** Find out what may be done here, and show it. */
async function begin() {
  try {
    index = await ask("api");
  } catch (failure) {
    if (!failure.left) askToken(failure.message);
    return;
  }
  refresh(who, index.mode !== "on" && tag(`cache ${index.mode}`, "bad"), " ", tag(index.rights), index.read_only && [" ", tag("reads only")],
    h("small", ` ${index.version}, process ${index.pid} `), button("Sign out", () => askToken("You are signed out.")));
  tabs.hidden = false;
  if (index.routes.includes("api/stats")) watch();
  else known.failure = { message: "This application tells no figures." };
  show();
}

whenRefused(askToken);
addEventListener("hashchange", () => index && show());
skip.addEventListener("click", () => main.focus());
if (signedIn()) begin();
else askToken();
