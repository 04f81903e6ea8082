// The frame around the pages: navigation, the page for the current address, and the state of the gateway.

import { api, line } from "./api.js";
import { dialog } from "./parts/dialog.js";
import { h, redraw } from "./parts/dom.js";
import { report, toast, toastHost } from "./parts/feedback.js";
import { lamp } from "./parts/lamp.js";
import * as cache from "./pages/cache.js";
import * as combos from "./pages/combos.js";
import * as endpoints from "./pages/endpoints.js";
import * as evals from "./pages/evals.js";
import * as keys from "./pages/keys.js";
import * as limits from "./pages/limits.js";
import * as login from "./pages/login.js";
import * as models from "./pages/models.js";
import * as overview from "./pages/overview.js";
import * as providers from "./pages/providers.js";
import * as proxies from "./pages/proxies.js";
import * as routing from "./pages/routing.js";
import * as settings from "./pages/settings.js";
import * as tools from "./pages/tools.js";
import * as usage from "./pages/usage.js";

const HOME = "/dashboard";
const KNOCK_MS = 1000; // between attempts while the gateway does not answer
const PAGES = new Map([
  ["", overview],
  ["providers", providers],
  ["models", models],
  ["combos", combos],
  ["routing", routing],
  ["endpoints", endpoints],
  ["keys", keys],
  ["limits", limits],
  ["proxies", proxies],
  ["tools", tools],
  ["usage", usage],
  ["cache", cache],
  ["evals", evals],
  ["settings", settings],
]);
const missing = {
  title: "Not found",
  show: ({ host }) => redraw(host, h("p", null, "There is no such page. ", h("a", { href: HOME }, "Back to the overview"))),
};

const main = h("main", { id: "main", tabindex: "-1" });
const links = [...PAGES].map(([name, page]) => h("a", { href: name ? `${HOME}/${name}` : HOME }, page.title));
let leave = new AbortController();
const product = document.title;
const named = h("span", null, product); // the name that the owner gave this gateway, to tell several apart
let typed = false; // in a form of this page

function open(path, { focus = true } = {}) {
  const name = path.slice(HOME.length).replace(/^\/|\/$/g, "");
  const page = PAGES.get(name) ?? missing;
  leave.abort(); // ends the timers and requests of the previous page
  leave = new AbortController();
  typed = false;
  document.querySelectorAll("dialog[open]").forEach((element) => element.close());
  for (const link of links) {
    if (link.textContent === page.title) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" }); // the narrow bar does not show all links at once
    } else link.removeAttribute("aria-current");
  }
  const heading = h("h1", { tabindex: "-1" }, page.title);
  const tools = h("div", { class: "actions" });
  const host = h("div", { class: "page" });
  redraw(main, h("header", { class: "page-head" }, heading, tools), host);
  entitle();
  page.show({ host, tools, signal: leave.signal });
  scrollTo(0, 0);
  if (focus) heading.focus({ preventScroll: true });
}

const entitle = () => (document.title = `${main.querySelector("h1").textContent} · ${named.textContent}`);

// Links within the dashboard change the page without reloading it.
function follow(event) {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.origin !== location.origin || !link.pathname.startsWith(HOME)) return;
  event.preventDefault();
  if (link.hash) return main.focus(); // the link to skip the navigation: the page stays, and what was typed
  if (link.pathname !== location.pathname) history.pushState(null, "", link.pathname);
  open(link.pathname);
}

// Whoever has typed something logs in above the page, so that it is not lost.
function loginAgain() {
  if (!typed) return location.assign("/login?next=" + encodeURIComponent(location.pathname));
  if (document.querySelector("dialog [name=password][autocomplete=current-password]")) return undefined;
  return dialog("Log in again", (close) => [
    h("p", { class: "note" }, "The session has ended. What you have typed is still here."),
    login.passwordForm(() => {
      close();
      line.dispatchEvent(new Event("login"));
      toast("You are logged in again.");
    }),
  ]);
}

async function logout() {
  try {
    await api.post("/api/auth/logout");
    location.assign("/login");
  } catch (error) {
    report(error);
  }
}

function frame() {
  const account = h("div", { class: "account" });
  const state = h("div", { class: "line", role: "status" });
  const banner = (down) => redraw(state, down && lamp("bad", "The gateway does not answer. Trying again…"));
  line.addEventListener("down", () => (banner(true), knock()));
  line.addEventListener("up", () => banner(false));
  document.body.append(
    h("a", { class: "skip", href: "#main" }, "Skip to the content"),
    h(
      "div",
      { class: "frame" },
      h(
        "header",
        { class: "side" },
        h("a", { class: "brand", href: HOME }, h("img", { src: "/admin_ui/icon.svg", alt: "", width: 26, height: 26 }), named),
        h("nav", { "aria-label": "Pages" }, links),
        h("div", { class: "foot" }, h("a", { class: "button quiet", href: "/api/docs" }, "API description"), account),
      ),
      h("div", { class: "body" }, state, main),
    ),
    toastHost(),
  );
  document.addEventListener("click", follow);
  document.addEventListener("input", (event) => (typed ||= Boolean(event.target.form)));
  line.addEventListener("closed", loginAgain);
  addEventListener("popstate", () => open(location.pathname));
  open(location.pathname, { focus: false });
  line.addEventListener("login", () => (showAccount(account), showName()));
  line.addEventListener("named", showName);
  showAccount(account);
  showName();
}

// Retry until the gateway answers, because not every page sends requests by itself.
const knock = () => setTimeout(() => api.get("/api/auth/status").catch((error) => error.status === 0 && knock()), KNOCK_MS);

async function showAccount(host) {
  try {
    const { authenticated } = await api.get("/api/auth/status");
    redraw(host, authenticated && h("button", { type: "button", class: "quiet", click: logout }, "Log out"));
  } catch {
    // the page itself reports the error
  }
}

async function showName() {
  try {
    named.textContent = (await api.get("/api/settings")).instanceName || product;
    entitle();
  } catch {
    // as above
  }
}

function start() {
  if (location.pathname !== "/login") return frame();
  document.title = `${login.title} · OmniRoute`;
  const host = h("main", { class: "login" });
  document.body.append(host, toastHost());
  return login.show({ host });
}

start();
