// Which view is shown, and what is the same for all: where one is, keys, light and dark, and
// whether the head is there. The address after # says all that is seen, so that it can be sent on.
import {beginSession, follow, Refused} from "/server.js";
import {el, replace} from "/elements.js";
import {clusterView} from "/cluster_view.js";
import {jobView} from "/job_view.js";
import {tracesView} from "/traces_view.js";
import {compareView} from "/compare_view.js";

const main = document.getElementById("main");
const where = document.getElementById("where");
const linkState = document.getElementById("link-state");
const keys = document.getElementById("keys");

let view = null;       // {refresh(signal), destroy(), recolour(), key(key)}, each but refresh optional.
let controller = null; // Of what is asked for the view.
let isAsking = false;
let stopFollowing = null;

// #/job/7/traces?round=3 is ["job", "7", "traces"] and {round: "3"}.
export function here() {
  const [path, query] = location.hash.slice(1).split("?");
  return {parts: path.split("/").filter(Boolean), query: new URLSearchParams(query || "")};
}

// The same place with other details, which are not a step in the browser's history.
export function rememberHere(query) {
  const [path] = location.hash.split("?");
  const text = query.toString();
  history.replaceState(null, "", (path || "#/") + (text ? `?${text}` : ""));
}

function path(...steps) {
  replace(where, ...steps.map(([text, href]) => el("a", {href}, text)));
}

function chosenView() {
  const {parts} = here();
  const job = parts[0] === "job" && /^\d+$/.test(parts[1] || "") ? parts[1] : null;
  if (job && parts[2] === "traces") {
    path(["Cluster", "#/"], [`Job ${job}`, `#/job/${job}`], ["Traces", `#/job/${job}/traces`]);
    return tracesView(main, job);
  }
  if (job) {
    path(["Cluster", "#/"], [`Job ${job}`, `#/job/${job}`]);
    return jobView(main, job);
  }
  if (parts[0] === "compare") {
    path(["Cluster", "#/"], ["Compare", location.hash]);
    return compareView(main, (parts[1] || "").split(",").filter((one) => /^\d+$/.test(one)));
  }
  path(["Cluster", "#/"]);
  return clusterView(main);
}

function showSignIn(message) {
  const field = el("input", {type: "password", autocomplete: "off", "aria-label": "Token", size: 40});
  replace(main, el("h1", {}, "Who are you?"), el("p", {class: "error"}, message),
          el("form", {
            class: "row",
            onsubmit: async (event) => {
              event.preventDefault();
              try {
                await beginSession({token: field.value});
                start();
              } catch (error) {
                showSignIn(error.message);
              }
            },
          }, field, el("button", {}, "Sign in")));
  field.focus();
}

async function refresh() {
  if (!view || isAsking) return;
  isAsking = true;
  const of = view;
  try {
    await of.refresh(controller.signal);
    main.querySelector(":scope > .failure")?.remove();
  } catch (error) {
    if (of !== view || error.name === "AbortError") return;
    if (error instanceof Refused && error.status === 401) {
      view = null;
      stopFollowing?.();
      showSignIn(error.message);
      return;
    }
    let failure = main.querySelector(":scope > .failure");
    if (!failure) main.prepend(failure = el("p", {class: "error failure"}));
    failure.textContent = error instanceof Refused ? error.message : "The head does not answer.";
  } finally {
    isAsking = false;
  }
}

function show() {
  controller?.abort();
  view?.destroy?.();
  controller = new AbortController();
  isAsking = false;
  replace(main);
  view = chosenView();
  refresh();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.documentElement.style.colorScheme = theme;
}

function switchTheme() {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  setTheme(theme);
  localStorage.setItem("theme", theme);
  view?.recolour?.();
}

function select(step) {
  const rows = [...main.querySelectorAll("tr[data-href]")];
  if (rows.length === 0) return;
  const now = rows.findIndex((row) => row.classList.contains("selected"));
  const next = Math.max(0, Math.min(rows.length - 1, now < 0 ? 0 : now + step));
  rows.forEach((row, i) => row.classList.toggle("selected", i === next));
  rows[next].scrollIntoView({block: "nearest"});
}

function goUp() {
  const links = where.querySelectorAll("a");
  if (links.length > 1) location.hash = links[links.length - 2].getAttribute("href");
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea") || keys.open) return;
  const {parts} = here();
  const actions = {
    j: () => select(1), k: () => select(-1), u: goUp, d: switchTheme, c: () => { location.hash = "#/"; },
    o: () => { if (parts[0] === "job") location.hash = `#/job/${parts[1]}`; },
    t: () => { if (parts[0] === "job") location.hash = `#/job/${parts[1]}/traces`; },
    "?": () => keys.showModal(),
    Enter: () => {
      const row = main.querySelector("tr.selected");
      if (row && event.target === document.body) location.hash = row.dataset.href;
    },
  };
  if (actions[event.key]) {
    actions[event.key]();
  } else {
    view?.key?.(event.key);
  }
}

async function start() {
  const once = /^#once=([^&]+)$/.exec(location.hash);
  if (once) {
    // The code is good once: it has no place in the history.
    history.replaceState(null, "", "#/");
    try {
      await beginSession({once: decodeURIComponent(once[1])});
    } catch (error) {
      showSignIn(error.message);
      return;
    }
  }
  stopFollowing?.();
  stopFollowing = follow(refresh, (isThere) => {
    linkState.textContent = isThere ? "" : "the head is away; trying again …";
  });
  show();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
setTheme(localStorage.getItem("theme") || (dark.matches ? "dark" : "light"));
dark.addEventListener("change", () => {
  if (localStorage.getItem("theme")) return;
  setTheme(dark.matches ? "dark" : "light");
  view?.recolour?.();
});
document.getElementById("theme").addEventListener("click", switchTheme);
document.getElementById("help").addEventListener("click", () => keys.showModal());
document.addEventListener("keydown", pressed);
document.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-href]");
  if (row && !event.target.closest("a, button, input")) location.hash = row.dataset.href;
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
window.addEventListener("hashchange", show);
start();
