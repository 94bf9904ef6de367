// The frame around the views: which one is shown, keys, light and dark, and what is dropped.
import { connect, on } from "./live.js";
import { h, dialog } from "./dom.js";
import { wireDrop } from "./drop.js";
import * as player from "./player.js";
import { undo } from "./undo.js";

const views = {
  flow: () => import("./views/flow.js"),
  songs: () => import("./views/songs.js"),
  compose: () => import("./views/compose.js"),
  pieces: () => import("./views/pieces.js"),
  models: () => import("./views/models.js"),
};
const place = document.getElementById("view");
let leave = null;
let shown = "";

async function route() {
  const [, name = "flow", ...rest] = location.hash.split("/");
  const view = views[name] ? name : "flow";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const module = await views[view]();
  if (leave) leave();
  place.replaceChildren();
  place.className = `view-${view}`;
  document.title = `${view[0].toUpperCase()}${view.slice(1)} · Studio`;
  leave = module.show(place, rest.map(decodeURIComponent)) || null;
  if (!place.querySelector("h1")) place.prepend(h("h1", { class: "unseen" }, view[0].toUpperCase() + view.slice(1)));
  if (shown && shown !== view) place.focus({ preventScroll: true });
  shown = view;
}

const KEYS = [
  ["space", "play, pause"], ["← →", "5 seconds back, on"], ["shift ← →", "1 second"], ["home", "to the beginning"],
  ["↑ ↓", "song, take or piece before, after"], ["enter", "play what is chosen"], ["k", "keep the take"], ["d", "discard it"], ["m", "more like it"],
  ["a", "compose again from the playhead on"], ["b", "in Models: the same music by the other version"], ["1 – 5", "Flow, Songs, Compose, Pieces, Models"], ["c", "let the take go on"], ["z", "undo what was done last"], ["u", "choose songs to put in"], ["?", "this list"],
];

function showKeys() {
  dialog("Keys", h("dl", { class: "keys" }, KEYS.flatMap(([key, does]) => [h("dt", {}, key), h("dd", {}, does)])));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const at = event.target;
  const types = at.matches("input:not([type=range]):not([type=checkbox]), textarea, select");
  if (types) return;
  const own = at.matches("button, a, summary, [role=slider], input");
  const step = event.shiftKey ? 1 : 5;
  const actions = {
    " ": () => !at.matches("button, summary, input[type=checkbox]") && (player.toggle(), true),
    ArrowLeft: () => !at.matches("input, [role=slider]") && (player.seek(player.time() - step), true),
    ArrowRight: () => !at.matches("input, [role=slider]") && (player.seek(player.time() + step), true),
    Home: () => !own && (player.seek(0), true),
    "?": () => (showKeys(), true),
    z: () => (undo(), true),
    u: () => (document.getElementById("pick").click(), true),
    1: () => (location.hash = "#/flow", true),
    2: () => (location.hash = "#/songs", true),
    3: () => (location.hash = "#/compose", true),
    4: () => (location.hash = "#/pieces", true),
    5: () => (location.hash = "#/models", true),
  };
  const done = actions[event.key] ? actions[event.key]() : passOn(event, at);
  if (done) event.preventDefault();
}

// What the view does with a key; the chosen row is the one that has the focus or was chosen last.
function passOn(event, at) {
  if (["ArrowUp", "ArrowDown"].includes(event.key) && at.matches("input, [role=slider]")) return false;
  if (event.key === "Enter" && at.matches("button, a, summary, input")) return false;
  return !place.dispatchEvent(new CustomEvent("key", { detail: event.key, cancelable: true }));
}

function theme() {
  const root = document.documentElement;
  const saved = localStorage.getItem("theme");
  if (saved) root.dataset.theme = saved;
  document.getElementById("theme").addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    dispatchEvent(new Event("theme"));
  });
}

theme();
player.build(document.getElementById("transport"));
document.getElementById("help").addEventListener("click", showKeys);
addEventListener("keydown", onKey);
addEventListener("hashchange", route);
wireDrop();
connect();
on("line", (connected) => {
  const line = document.getElementById("line");
  line.textContent = connected ? "" : "The studio does not answer; waiting for it";
});
route();
