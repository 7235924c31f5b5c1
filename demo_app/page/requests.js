// Requests by hand: any route, of any instance, with the command that asks the same without a browser.

import { byId, h, say, table, whenPressed } from "./dom.js";
import { milliseconds } from "./words.js";

const LINES = 8;

export const ROUTES = [
  { name: "Product", note: "5 min", path: ({ product }) => `/products/${product}` },
  { name: "Price", note: "10 s", path: ({ product }) => `/products/${product}/price` },
  { name: "Products", note: "5 min", path: () => "/products" },
  { name: "Search", note: "5 min", path: ({ text }) => `/search?q=${encodeURIComponent(text)}` },
  { name: "Categories", note: "1 h", path: () => "/categories" },
  { name: "Sales report", note: "3 h", path: () => "/reports/sales" },
  { name: "Trending", note: "30 s", path: () => "/trending" },
];

const answers = [];

export function offerRequests(fleet) {
  byId("routes").append(...ROUTES.map(({ name, note }, i) => h("label",
    h("input", { type: "radio", name: "route", value: String(i), checked: i === 0 }), h("span", name, h("small", note)))));
  const path = () => ROUTES[Number(document.querySelector("input[name=route]:checked").value)]
    .path({ product: byId("product").value, text: byId("text").value });
  const show = () => { byId("command").textContent = `curl -i '${fleet.instances[0].address}${path()}'`; };
  byId("request").addEventListener("input", show);
  byId("request").addEventListener("submit", (event) => event.preventDefault());
  show();
  for (const button of document.querySelectorAll("[data-send]")) {
    whenPressed(button, "request-said", () => send(fleet, button.dataset.send, path()));
  }
  whenPressed(byId("clear"), "request-said", async () => {
    await fleet.instances.find(({ runs }) => runs)?.ask("/cache/clear", { method: "POST" });
    say("request-said", "Every tier of every instance is empty again.");
  });
}

async function send(fleet, name, path) {
  const answer = await fleet.instance(name).ask(path);
  answers.unshift(answer);
  answers.length = Math.min(answers.length, LINES);
  say("request-said", `${name} answered in ${milliseconds(answer.browser)}: ${answer.words}.`);
  byId("request-answers").replaceChildren(
    table("The latest answers, newest first", ["Of", "Request", "Where the answer came from", "Server", "Browser", "Cache-Status"],
      answers.map(({ name: of, path: asked, words, from, server, browser, field }) =>
        ({ from, cells: [of, asked, words, milliseconds(server), milliseconds(browser), field ?? "none"] }))));
}
