// The chain as it is: eight repos and what happens between them, live.
import { attempt, get, post } from "../api.js";
import { clock, h, plural, size, span, toast } from "../dom.js";
import { on, state } from "../live.js";

const WORDS = {
  "audio-unprocessed": ["Songs", "what you put in"],
  "audio-processed": ["Names", "safe names for all"],
  "audio-processed-wav": ["Copies", "to listen to, mono, 16 kHz"],
  midi: ["Transcriptions", "notes that were heard"],
  "transformer-preprocess": ["Training notes", "what is learned from"],
  "music-transformer": ["Composer", "versions, tuned on your songs"],
  "generated-music": ["New pieces", "one for each primer"],
  "rendered-music": ["Sound", "played by an instrument"],
  seeds: ["Primers", "beginnings for new pieces"],
};
const STATES = { idle: "", waiting: "waits", running: "works", done: "up to date", failed: "failed" };
let chosen = null;

export function show(place) {
  const chain = h("ol", { class: "chain", "aria-label": "The chain" });
  const detail = h("section", { class: "panel detail", "aria-live": "off" });
  const history = h("section", { class: "panel history" });
  const welcome = h("section", { class: "welcome" });
  place.append(welcome, chain, h("div", { class: "two" }, detail, history));
  const cards = new Map();
  let last = "";

  const draw = (flow) => {
    if (!flow) return;
    const empty = !flow.nodes.some((node) => node.files || node.job);
    welcome.replaceChildren(...(empty ? greeting() : []));
    chain.hidden = detail.hidden = history.hidden = empty;
    for (const node of flow.nodes) {
      let card = cards.get(node.name);
      if (!card) {
        card = cardOf(node.name, () => { chosen = node.name; mark(); showDetail(detail, node.name); });
        cards.set(node.name, card);
        chain.append(card.element);
      }
      card.update(node);
    }
    const stamp = JSON.stringify(flow.nodes.map((node) => [node.files, node.job, node.state, node.done]));
    if (stamp !== last && !empty) {
      last = stamp;
      showHistory(history);
      if (!chosen) chosen = (flow.nodes.find((node) => node.error) || flow.nodes.find((node) => node.state === "running") || flow.nodes[0]).name;
      mark();
      showDetail(detail, chosen);
    }
  };
  const mark = () => cards.forEach((card, name) => card.element.classList.toggle("chosen", name === chosen));
  draw(state.flow);
  const stop = on("flow", draw);
  const timer = setInterval(() => cards.forEach((card) => card.tick()), 1000);
  return () => { stop(); clearInterval(timer); };
}

function greeting() {
  const begin = h("button", { class: "primary", onclick: async () => {
    begin.disabled = true;
    await attempt(() => post("/api/samples"));
    begin.disabled = false;
  } }, "Begin with six sample songs");
  const pick = h("button", { onclick: () => document.getElementById("pick").click() }, "Choose songs");
  return [
    h("h2", { class: "big" }, "Drop songs here"),
    h("p", {}, "They are listened to, written down as notes, and learned from. Then new pieces are composed in their style. All of it happens on this machine."),
    h("p", { class: "row" }, pick, begin),
  ];
}

function cardOf(name, choose) {
  const [title, about] = WORDS[name];
  const lamp = h("i", { class: "lamp" });
  const count = h("b", {}, "0");
  const line = h("span", { class: "state" });
  const bar = h("span", { class: "bar-of" }, h("i"));
  const error = h("span", { class: "error" });
  const button = h("button", { class: "node", onclick: choose }, h("span", { class: "head" }, lamp, h("span", { class: "name" }, title)), count, h("span", { class: "about" }, about), bar, line, error);
  const element = h("li", { class: { seeds: "side", "audio-unprocessed": "source" }[name] || "" }, button);
  let now = null, at = 0;
  const card = {
    element,
    update(node) {
      now = node;
      at = performance.now();
      element.dataset.state = node.state;
      count.textContent = node.count;
      error.textContent = node.error ? (node.left_out ? `${node.left_out} left out. ` : "") + node.error : "";
      const share = node.todo ? node.done / node.todo : node.state === "done" ? 1 : 0;
      bar.firstChild.style.width = `${Math.round(100 * share)}%`;
      card.tick();
    },
    tick() {
      if (!now) return;
      const gone = (performance.now() - at) / 1000;
      let text = STATES[now.state];
      if (now.state === "running") {
        text = now.todo > 1 ? `${now.done} of ${now.todo}` : "works";
        if (now.left_s !== null && now.left_s - gone > 1) text += `, ${span(now.left_s - gone)} left`;
        else if (now.started) text += `, since ${clock(Date.now() / 1000 - now.started)}`;
      }
      if (now.pipeline === "paused") text = "paused";
      line.textContent = text;
    },
  };
  return card;
}

async function showDetail(place, name) {
  const [title] = WORDS[name];
  const isPipeline = name !== "audio-unprocessed" && name !== "seeds";
  const found = await attempt(() => Promise.all([get(`/api/flow/${name}/files`), isPipeline ? get(`/api/flow/${name}/job`) : { datums: [], log: [] }]));
  if (!found || name !== chosen) return;
  const [files, job] = found;
  const openLog = place.querySelector("details")?.open;
  const rows = job.datums.map((datum) => h("tr", { class: datum.state },
    h("td", {}, datum.label), h("td", {}, outcome(datum)), h("td", { class: "number" }, datum.state === "skipped" ? "" : `${datum.seconds.toFixed(1)} s`)));
  place.replaceChildren(...[
    h("h2", {}, title, h("small", {}, name)),
    job.reason ? h("p", { class: "error" }, job.reason) : null,
    rows.length ? h("table", {}, h("tbody", {}, rows)) : h("ul", { class: "files" }, files.map((file) => h("li", {}, h("span", {}, file.path), h("span", { class: "number" }, size(file.bytes))))),
    job.log.length ? h("details", openLog ? { open: true } : {}, h("summary", {}, "Log"), h("pre", { tabindex: 0 }, job.log.join("\n"))) : null].filter(Boolean));
}

function outcome(datum) {
  if (datum.state === "skipped") return "kept from before";
  if (datum.state === "success") return "done";
  return datum.reason || datum.state;
}

async function showHistory(place) {
  const commits = await attempt(() => get("/api/commits"));
  if (!commits) return;
  place.replaceChildren(h("h2", {}, "What was put in"), h("ol", { class: "commits" }, commits.map((commit) => {
    const set = commit.set_off.map((job) => `${WORDS[job.pipeline]?.[0] || job.pipeline}: ${job.state === "success" ? `${job.processed} done, ${job.skipped} kept` : job.state}`);
    const names = [...commit.added.map((name) => `+ ${name}`), ...commit.removed.map((name) => `− ${name}`), ...commit.replaced.map((name) => `↻ ${name}`)];
    return h("li", {},
      h("div", {}, h("b", {}, commit.note || names.slice(0, 2).join(", ") || "no change"), h("time", {}, new Date(commit.at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }))),
      h("details", {}, h("summary", {}, `${plural(names.length, "change")}, set off ${plural(set.length, "job")}`),
        h("ul", {}, names.map((name) => h("li", {}, name))), h("ul", { class: "about" }, set.map((each) => h("li", {}, each)))),
      names.length ? h("button", { onclick: () => attempt(async () => { await post(`/api/commits/${commit.id}/undo`); toast("Taken back"); }) }, "Undo") : null);
  })));
}
