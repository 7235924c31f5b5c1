// The page: sends requests to the instances and shows the Cache-Status field of each response.

const BURST = 50;
const CONNECTIONS = 6; // As many as a browser opens to one server at a time.
const LOG_LINES = 7;
const PATIENCE_MS = 5000;
const LABELS = { l1: "L1", l2: "L2", coalesced: "Coalesced", source: "Source", other: "Other" };

const ROUTES = [
  { name: "Product", note: "SHORT_TERM 5 min", path: (f) => `/products/${f.product}` },
  { name: "Price", note: "REAL_TIME 10 s", path: (f) => `/products/${f.product}/price` },
  { name: "Products", note: "SHORT_TERM 5 min", path: () => "/products" },
  { name: "Search", note: "DEFAULT 5 min", path: (f) => `/search?q=${encodeURIComponent(f.text)}` },
  { name: "Categories", note: "MEDIUM_TERM 1 h", path: () => "/categories" },
  { name: "Sales report", note: "LONG_TERM 3 h", path: () => "/reports/sales" },
  { name: "Trending", note: "custom 30 s", path: () => "/trending" },
];

const byId = (id) => document.getElementById(id);
const milliseconds = (ms) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
const plural = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;

/** Where a response came from, by its Cache-Status field (RFC 9211). */
function origin(field) {
  const [, ...parameters] = (field ?? "").split(";").map((part) => part.trim());
  if (parameters.includes("hit")) return parameters.includes("detail=l2") ? "l2" : "l1";
  if (parameters.includes("collapsed")) return "coalesced";
  return parameters.some((p) => p.startsWith("fwd=")) ? "source" : "other";
}

/** One instance: its address, its card, and its responses so far. */
class Instance {
  constructor(address, facts) {
    Object.assign(this, { address, ...facts, tally: {}, log: [] });
    this.card = byId("card").content.cloneNode(true).firstElementChild;
    this.card.dataset.instance = this.name;
    this.card.setAttribute("aria-label", `Instance ${this.name}`);
    this.card.querySelector(".name").textContent = this.name;
    this.card.querySelector(".framework").textContent =
      this.framework === "fastapi" ? "FastAPI" : "Starlette";
    const link = this.card.querySelector(".address");
    link.href = link.textContent = address;
  }

  static async at(address) {
    const response = await fetch(`${address}/instance`, { credentials: "omit", cache: "no-store" });
    return new Instance(address, await response.json());
  }

  show(field, text) {
    this.card.querySelector(`[data-field="${field}"]`).textContent = text;
  }

  /** Send a request, bypassing the browser's cache; return body, source and duration. */
  async ask(path, options = {}) {
    const started = performance.now();
    const response = await fetch(this.address + path, {
      credentials: "omit", cache: "no-store", ...options,
    });
    const text = await response.text();
    const ended = performance.now();
    if (!response.ok) throw new Error(`${path} was answered ${response.status}`);
    const status = response.headers.get("cache-status");
    return {
      path, started, ended, status, time: ended - started, from: origin(status),
      age: response.headers.get("age"), etag: response.headers.get("etag"),
      body: text ? JSON.parse(text) : null,
    };
  }

  /** Send a request and show the response. */
  async send(path) {
    const answer = await this.ask(path);
    this.note([answer]);
    await this.count();
    return answer;
  }

  /** Show responses: the last one in full, all of them in the figures. */
  note(answers) {
    for (const answer of answers) {
      this.tally[answer.from] = (this.tally[answer.from] ?? 0) + 1;
      const [newest] = this.log;
      if (newest?.from === answer.from && newest.path === answer.path) {
        Object.assign(newest, { time: answer.time, count: newest.count + 1 });
      } else {
        this.log.unshift({ from: answer.from, path: answer.path, time: answer.time, count: 1 });
      }
    }
    this.log.length = Math.min(this.log.length, LOG_LINES);
    const last = answers.at(-1);
    this.card.querySelector(".answer").dataset.from = last.from;
    this.show("from", LABELS[last.from]);
    this.show("time", milliseconds(last.time));
    this.show("version", last.body?.version ?? "–");
    this.show("age", last.age === null ? "–" : `${last.age} s`);
    this.show("etag", last.etag ?? "–");
    this.show("status", last.status ?? "none");
    this.showFigures();
    this.showLog();
  }

  showFigures() {
    const counts = Object.keys(LABELS).map((from) => [from, this.tally[from] ?? 0]);
    const all = counts.reduce((sum, [, count]) => sum + count, 0);
    const spared = all - (this.tally.source ?? 0);
    this.show("answers", all);
    this.show("ratio", `${Math.round((100 * spared) / all)} %`);
    const share = this.card.querySelector('[data-field="share"]');
    const present = counts.filter(([, count]) => count);
    share.setAttribute("aria-label", present.map(([f, n]) => `${LABELS[f]} ${n}`).join(", "));
    share.replaceChildren(...present.map(([from, count]) => {
      const part = document.createElement("span");
      part.dataset.from = from;
      part.style.flexGrow = count;
      return part;
    }));
  }

  showLog() {
    // The bar's length is logarithmic, so that a millisecond is visible next to a second.
    const width = (ms) => Math.min(100, Math.max(4, 100 * (Math.log10(ms + 1) / 3)));
    this.card.querySelector('[data-field="log"]').replaceChildren(...this.log.map((answer) => {
      const line = document.createElement("li");
      line.dataset.from = answer.from;
      line.dataset.count = answer.count;
      const [from, path, bar, time] = ["b", "code", "i", "span"].map((t) => document.createElement(t));
      from.textContent = LABELS[answer.from] + (answer.count > 1 ? ` × ${answer.count}` : "");
      path.textContent = path.title = answer.path;
      bar.style.width = `${width(answer.time)}%`;
      time.textContent = milliseconds(answer.time);
      line.append(from, path, bar, time);
      return line;
    }));
  }

  /** Get the number of source calls, and show it. */
  async count() {
    const { body } = await this.ask("/source/calls");
    this.show("calls", body.total);
    return body.total;
  }
}

const tell = (story) => { byId("story").textContent = story; };

const fields = () => ({ product: byId("product").value, text: byId("text").value });

function chosenPath() {
  const chosen = document.querySelector('input[name="route"]:checked');
  return ROUTES[Number(chosen.value)].path(fields());
}

/** Send one request to some instances at once. */
async function send(instances) {
  const answers = await Promise.all(instances.map((instance) => instance.send(chosenPath())));
  const parts = answers.map(
    (answer, i) => `${instances[i].name} answered from ${LABELS[answer.from]} in ${milliseconds(answer.time)}`,
  );
  tell(`${answers[0].path}: ${parts.join(", ")}.`);
}

/** Send many identical requests at once, for a search that is not cached yet. */
async function burst(instance) {
  const path = `/search?q=${encodeURIComponent(`${fields().text} ${Date.now()}`)}`;
  const before = await instance.count();
  const started = performance.now();
  const answers = [];
  let left = BURST;
  const connection = async () => {
    while (left-- > 0) answers.push(await instance.ask(path));
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, connection));
  const time = performance.now() - started;
  instance.note(answers);
  const calls = (await instance.count()) - before;
  const parts = Object.entries(LABELS)
    .map(([from, label]) => [label, answers.filter((answer) => answer.from === from).length])
    .filter(([, count]) => count)
    .map(([label, count]) => `${count} × ${label}`);
  tell(`Burst on ${instance.name}: ${BURST} identical requests in ${milliseconds(time)} made `
    + `${plural(calls, "source call")} (${parts.join(", ")}).`);
}

/** Edit the product on one instance, and watch all of them until they serve the new version. */
async function edit(instance, instances) {
  const path = `/products/${fields().product}`;
  // Every instance has the old version before the edit.
  await Promise.all(instances.map((each) => each.send(path)));
  const { body: { id, version, ...draft } } = await instance.ask(path);
  const { body: edited, ended } = await instance.ask(path, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...draft, price_cents: draft.price_cents + 100 }),
  });
  const seen = await Promise.all(instances.map((each) => watch(each, path, edited.version, ended)));
  tell(`Edit on ${instance.name}: product ${id} went from version ${version} to ${edited.version}. `
    + seen.join(" "));
}

/** Send requests until the version is served; say how long the old one was served. */
async function watch(instance, path, version, since) {
  for (let old = 0; performance.now() - since < PATIENCE_MS; old += 1) {
    const answer = await instance.ask(path);
    if (answer.body.version < version) continue;
    instance.note([answer]);
    await instance.count();
    return `${instance.name} dropped its old copy within ${milliseconds(answer.started - since)} `
      + `(${plural(old, "old response")}) and showed version ${answer.body.version} after `
      + `${milliseconds(answer.ended - since)}, from ${LABELS[answer.from]}.`;
  }
  return `${instance.name} still showed the old version after ${PATIENCE_MS / 1000} s.`;
}

async function clear(instances) {
  await instances[0].ask("/cache/clear", { method: "POST" });
  tell("Every tier of every instance is empty again.");
}

/** Run an action with the buttons disabled, and show its error if it fails. */
async function act(action) {
  const buttons = document.querySelectorAll("main button");
  const turn = (off) => buttons.forEach((button) => { button.disabled = off; });
  turn(true);
  document.body.setAttribute("aria-busy", "true");
  try {
    await action();
  } catch (error) {
    tell(`That did not work: ${error.message}.`);
  } finally {
    turn(false);
    document.body.setAttribute("aria-busy", "false");
  }
}

function offerRoutes() {
  byId("routes").append(...ROUTES.map((route, i) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), {
      type: "radio", name: "route", value: i, checked: i === 0,
    });
    const text = document.createElement("span");
    const note = document.createElement("small");
    note.textContent = route.note;
    text.append(route.name, note);
    label.append(input, text);
    return label;
  }));
  const showPath = () => { byId("path").textContent = `GET ${chosenPath()}`; };
  byId("request").addEventListener("input", showPath);
  showPath();
}

function changeTheme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const now = root.style.colorScheme || system;
  root.style.colorScheme = now === "dark" ? "light" : "dark";
}

async function start() {
  offerRoutes();
  byId("theme").addEventListener("click", changeTheme);
  const own = await Instance.at(location.origin);
  const addresses = own.peers.length ? own.peers : [location.origin];
  const instances = await Promise.all(addresses.map((address) => Instance.at(address)));
  const actions = { send: (each) => send([each]), burst, edit: (each) => edit(each, instances) };
  for (const instance of instances) {
    for (const button of instance.card.querySelectorAll("[data-do]")) {
      button.addEventListener("click", () => act(() => actions[button.dataset.do](instance)));
    }
    byId("instances").append(instance.card);
    await instance.count();
  }
  byId("request").addEventListener("submit", (event) => {
    event.preventDefault();
    act(() => send(instances));
  });
  byId("clear").addEventListener("click", () => act(() => clear(instances)));
  document.body.setAttribute("aria-busy", "false");
}

act(start);
