// Elements are built here. Texts are set as texts: no data is ever read as markup.

export const byId = (id) => document.getElementById(id);

/** An element: `h("p.soft", { title }, ...children)`; attributes come first, if there are any. */
export function h(name, ...rest) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  const plain = rest[0] && Object.getPrototypeOf(rest[0]) === Object.prototype;
  for (const [key, value] of Object.entries(plain ? rest.shift() : {})) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...rest.flat(3).filter((child) => child !== undefined && child !== null && child !== ""));
  return node;
}

export const say = (id, words, tone = "") => {
  byId(id).textContent = words;
  byId(id).dataset.tone = tone;
};

/** A button that does one thing at a time. It keeps the focus meanwhile; what fails is said in words. */
export function whenPressed(button, place, action) {
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      await action();
    } catch (error) {
      say(place, error.message, "bad");
    } finally {
      button.setAttribute("aria-disabled", "false");
    }
  });
}

/**
 * A table of texts: a head, and rows of cells; `from` colours a row by where its answer came from.
 * On a phone each row is a block of named values, so the roles are said again.
 */
export function table(caption, head, rows) {
  const cell = (text, title) => h(`td${text.length < 12 ? ".tight" : ""}`, { role: "cell", "data-title": title }, text);
  return h("table", { role: "table" }, h("caption", caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head.map((title) => h("th", { scope: "col", role: "columnheader" }, title)))),
    h("tbody", { role: "rowgroup" }, rows.map(({ from, cells }) =>
      h("tr", { role: "row", "data-from": from }, cells.map((value, i) => cell(String(value), head[i]))))));
}
