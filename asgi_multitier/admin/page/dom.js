// Elements are built here. Texts are set as texts: no data is ever read as markup.

const isThere = (value) => value !== undefined && value !== null && value !== false && value !== "";

/** An element: `h("p.soft", { title }, ...children)`. The attributes stand there if a child comes from an answer. */
export const h = (name, ...rest) => furnish(document.createElement(name.split(".")[0]), name, rest);
export const svg = (name, ...rest) => furnish(document.createElementNS("http://www.w3.org/2000/svg", name.split(".")[0]), name, rest);

function furnish(node, name, rest) {
  const plain = rest[0] && Object.getPrototypeOf(rest[0]) === Object.prototype;
  const attributes = plain ? rest.shift() : {};
  node.classList.add(...name.split(".").slice(1).filter(Boolean));
  node.append(...rest.flat(3).filter(isThere));
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (key === "value") node.value = value;
    else if (isThere(value)) node.setAttribute(key, value === true ? "" : value);
  }
  return node;
}

/** Replace what a place shows. The focus stays at the same `data-key`. */
export function refresh(place, ...children) {
  const key = place.contains(document.activeElement) && document.activeElement.dataset.key;
  place.replaceChildren(...children.flat(3).filter(isThere));
  if (key) [...place.querySelectorAll("[data-key]")].find((node) => node.dataset.key === key)?.focus();
}

/** A button that does something, or sends its form. It is off where there is a reason. */
export const button = (text, click, { kind = "", reason, key } = {}) =>
  h(`button.${kind}`, { type: click ? "button" : "submit", click, disabled: Boolean(reason), title: reason, "data-key": key }, text);
export const field = (label, control, hint) => h("label.field", h("span", label), control, hint && h("small", hint));
export const tick = (label, control) => h("label.check", control, label);
export const form = (kind, submit, ...children) =>
  h(`form.${kind}`, { submit: (event) => { event.preventDefault(); submit(); } }, children);
export const choice = (name, options, value = "", more = {}) =>
  h("select", { name, value, ...more }, Object.entries(options).map(([key, words]) => h("option", { value: key }, words)));
export const anyOf = (...all) => Object.fromEntries([["", "all"], ...all.map((word) => [word, word])]);
export const text = (name, more) => h("input", { type: "text", name, autocomplete: "off", spellcheck: "false", ...more });
export const tag = (word, tone = "") => h(`span.tag.${tone}`, {}, word);
export const code = (words) => h("code", {}, words);
export const soft = (...words) => h("p.soft", words);

/** A place for one sentence that screen readers announce. */
export function notice() {
  const node = h("p.notice", { role: "status" });
  const say = (sentence, tone = "") => {
    node.textContent = sentence;
    node.dataset.tone = tone;
  };
  return { node, say, failed: (failure) => failure.left || say(failure.message, "bad") };
}

/** Names and values; those without a value are left out. */
export const facts = (values) => h("dl.facts", Object.entries(values).filter(([, value]) => isThere(value))
  .map(([name, value]) => h("div", h("dt", name), h("dd", {}, value))));

/** A table. Columns: `[title, cell(row), sort(row)]`, with # for numbers; order: `{ column, down, change(order) }`. */
export function table(caption, columns, rows, empty, order) {
  if (!rows.length) return soft(empty);
  const sorted = order ? inOrder(rows, columns[order.column][2], order.down) : rows;
  const number = (title) => title[0] === "#";
  const cell = (kind, title, ...rest) => h(kind + (number(title) ? ".number" : ""), ...rest);
  const head = columns.map(([title, , sort], column) => {
    const here = order?.column === column;
    const words = title.replace("#", "");
    const change = () => order.change({ column, down: here ? !order.down : number(title) });
    return cell("th", title, { scope: "col", "aria-sort": here && (order.down ? "descending" : "ascending") },
      order && sort ? button(words, change, { kind: "plain", key: `sort ${column}` }) : words);
  });
  const body = sorted.map((row) => h("tr", columns.map(([title, words], at) =>
    cell(at ? "td" : "th", title, { scope: !at && "row" }, words(row)))));
  return h("table", h("caption", caption), h("thead", h("tr", head)), h("tbody", body));
}

/** A place for a table, which scrolls by itself where it is too wide. */
export const scrolling = (name) => h("div.scroll", { role: "region", tabindex: "0", "aria-label": name });

/** What is not known goes to the end in both directions. */
function inOrder(rows, value, down) {
  const missing = (found) => found === null || found === undefined;
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  return [...rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    return missing(a) || missing(b) ? missing(a) - missing(b) : compare(a, b) * (down ? -1 : 1);
  });
}

/** Do what a button is for: it is off meanwhile, and a failure is said. */
export async function attempt(says, pressed, action) {
  pressed.disabled = true;
  says.say("Asking …");
  try {
    await action();
  } catch (failure) {
    says.failed(failure);
  }
  pressed.disabled = false;
}

/** Show what is asked for; or why there is no answer, and a button to try again. */
export async function loaded(place, ask, show) {
  if (!place.hasChildNodes()) place.append(soft("Loading …"));
  try {
    refresh(place, show(await ask()));
  } catch (failure) {
    if (failure.left) return;
    const says = notice();
    place.replaceChildren(says.node, h("p.buttons", button("Try again", () => loaded(place, ask, show))));
    says.failed(failure);
  }
}

/** Do something now and every few seconds while the page can be seen, until it is left. */
export async function every(seconds, signal, act) {
  while (!signal.aborted) {
    if (!document.hidden) await act();
    await new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });
  }
}
