// The composers: what each learned from, how well it knows music it has not heard, and two of them side by side.
import { attempt, get, post } from "../api.js";
import { clock, h, plural, sharpen, toast } from "../dom.js";
import { growing, on, state } from "../live.js";
import * as player from "../player.js";
import { Roll } from "../roll.js";
import { detailOf, latest, sourceOf } from "./compose.js";

const both = []; // the takes that are compared: { take, model, label }, kept while another view is shown

export function show(place) {
  const list = h("ul", { class: "models" });
  const live = h("section", { class: "panel", hidden: true });
  const bench = h("section", { class: "panel stage" });
  place.append(h("h1", {}, "Models"), live, list, bench);
  let rolls = [], asks = [];
  const a = h("select", { "aria-label": "Version A" }), b = h("select", { "aria-label": "Version B" }), primer = h("select", { "aria-label": "Primer" });
  const go = h("button", { class: "primary", onclick: () => compare() }, "Compose with both");
  const heard = h("p", { class: "about", role: "status" });
  const sides = h("div", { class: "two equal" });
  place.insertBefore(h("p", { class: "about" }, "Whichever composes here, the chain goes on: it trains its next version on the songs that are used, starting from the shipped model, and composes from the primers with the newest one."), live);
  bench.append(h("h2", {}, "Two versions, the same primer and seed"), h("div", { class: "row end" },
    h("label", { class: "field grow" }, h("span", {}, "A"), a), h("label", { class: "field grow" }, h("span", {}, "B"), b), h("label", { class: "field grow" }, h("span", {}, "Go on from"), primer), go), sides, heard);

  const compare = () => attempt(async () => {
    const seed = Math.floor(Math.random() * 1e6);
    const began = [];
    for (const select of [a, b]) {
      const wish = { primer: primer.value ? { kind: "sample", id: primer.value } : { kind: "none" }, minutes: 1, count: 1, seed, model: select.value };
      began.push({ take: (await post("/api/takes", wish)).takes[0], label: select.selectedOptions[0].textContent });
    }
    both.splice(0, 2, ...began);
    draw();
  });
  const draw = () => {
    rolls = both.map(({ take, label }, index) => {
      const roll = new Roll({ seek: (at) => player.load(source(index), { at }) });
      const button = h("button", { class: "play small", onclick: () => player.toggleSource(source(index)) }, "▶");
      const about = h("span", { class: "about" });
      return { take, roll, button, about, element: h("div", { class: "side-of" }, h("div", { class: "row" }, button, h("b", {}, `${"AB"[index]}: ${label}`), about), roll.canvas) };
    });
    sides.replaceChildren(...rolls.map((each) => each.element));
    update();
  };
  const source = (index) => ({ ...sourceOf(latest(both[index].take) || { id: both[index].take, title: "", wanted_s: 60 }), title: `${"AB"[index]}: ${both[index].label}` });
  const update = () => {
    for (const each of rolls) {
      const take = latest(each.take);
      if (!take) continue;
      each.about.textContent = take.state === "done" ? clock(take.seconds) : take.state === "failed" ? take.error : take.state === "composing" ? `${(growing.get(each.take) || []).length} notes so far` : take.state;
      if (take.state === "done") detailOf(take).then((found) => each.roll.set({ notes: found.notes, primer: found.primer.slice(-200), primerS: found.primer_s, wanted: 0 })).catch(() => {});
      else each.roll.set({ notes: growing.get(each.take) || [], wanted: take.wanted_s });
    }
    heard.textContent = both.length ? "b changes between them at the same moment." : "";
  };
  const change = () => {
    if (both.length < 2) return false;
    const now = both.findIndex(({ take }) => player.key() === `take ${take}`);
    player.load(source(now === 0 ? 1 : 0), { at: now < 0 ? 0 : player.time(), play: now < 0 || player.isPlaying() });
    return true;
  };

  const refresh = async () => {
    const found = await attempt(() => Promise.all([get("/api/models"), get("/api/primers")]));
    if (!found) return;
    const [models, primers] = found;
    asks = [];
    list.replaceChildren(...models.map((model, index) => cardOf(model, index === 0, refresh, asks)));
    for (const [select, index] of [[a, 0], [b, 1]]) {
      const before = select.value;
      select.replaceChildren(...models.map((model) => h("option", { value: model.id }, model.label)));
      select.value = models.some((model) => model.id === before) ? before : models[Math.min(index, models.length - 1)].id;
    }
    if (!primer.children.length) primer.append(...primers.map((each) => h("option", { value: each.id }, each.name)), h("option", { value: "" }, "nothing"));
    go.disabled = models.length < 2;
    if (models.length < 2) heard.textContent = "There is one model only; the chain trains a version on your songs.";
  };
  const watch = async () => {
    const training = await get("/api/training").catch(() => ({ runs: false, curve: [] }));
    live.hidden = !training.runs;
    if (training.runs) live.replaceChildren(h("h2", {}, "A version is being trained"), curveOf(training.curve), h("p", { class: "about" }, training.curve.length ? `Step ${training.curve.at(-1)[0]}, ${training.curve.at(-1)[1].toFixed(2)} nats a note` : "It begins"));
  };
  const onKey = (event) => { if (event.detail === "b" && change()) event.preventDefault(); };
  place.addEventListener("key", onKey);
  refresh();
  watch();
  draw();
  const timer = setInterval(() => { if (!live.hidden || state.flow?.nodes.some((node) => node.name === "music-transformer" && node.state === "running")) watch(); }, 4000);
  let last = "";
  const stops = [
    on("takes", update),
    on("answers", () => asks.forEach((run) => run())),
    on("notes", update),
    on("flow", (flow) => { const node = flow.nodes.find((each) => each.name === "music-transformer"); const stamp = `${node.job} ${node.state}`; if (stamp !== last) { if (last) { refresh(); watch(); } last = stamp; } }),
    player.onTime((key, time) => rolls.forEach((each) => {
      const isMine = key === `take ${each.take}`;
      each.roll.setPlayhead(isMine ? time : null);
      each.button.textContent = isMine && player.isPlaying() ? "❚❚" : "▶";
      each.button.setAttribute("aria-label", isMine && player.isPlaying() ? "Pause" : "Play");
    })),
  ];
  return () => { clearInterval(timer); stops.forEach((stop) => stop()); place.removeEventListener("key", onKey); };
}

const ofTest = (found) => (found ? [`${found.bits_per_second.toFixed(1)} bits a second`, h("span", { class: "about" }, `  ${found.what}`)] : "this version was not tested on it");

// How far from its primer music goes, composed and the primer itself; 1 is as like it as its own second half.
const DISTANCES = { pitch_classes: "pitches", density: "density", median_length: "length of notes", polyphony: "polyphony" };
function wordsOf({ primers, composed, own }) {
  const said = Object.entries(DISTANCES).map(([name, word]) => `${word} ${composed[name].toFixed(2)} (${own[name].toFixed(2)})`);
  return [said.join(", "), h("span", { class: "about" }, `  distance from ${plural(primers, "primer")}, in brackets that of their own second halves; 0 is alike`)];
}

function cardOf(model, isNewest, refresh, ask) {
  const bits = model.held_out.bits_per_second;
  const use = h("button", { "aria-pressed": String(model.composes), disabled: model.composes, onclick: () => attempt(async () => {
    await post(`/api/models/${model.id}/use`);
    toast(isNewest ? `${model.label} composes here` : `${model.label} composes here. The chain goes on with its newest version: what it composes from the primers stays as it is`);
    refresh();
  }) }, model.composes ? "Composes here" : "Let it compose here");
  const faithful = h("dd", {}, "…");
  const measure = h("button", { onclick: () => attempt(async () => tellFaithful(await post(`/api/models/${model.id}/faithfulness`))) }, "Measure");
  const tellFaithful = (found) => {
    if (found.answer && found.answer.primers) faithful.replaceChildren(...wordsOf(found.answer));
    else if (found.state === "working") faithful.textContent = "being measured, about ten seconds";
    else faithful.replaceChildren(found.error || (found.answer ? "no primer is long enough " : "not measured "), measure);
  };
  ask.push(() => attempt(async () => tellFaithful(await post(`/api/models/${model.id}/faithfulness?ask=true`))));
  ask.at(-1)();
  const changes = [...(model.came || []).map((name) => h("li", { class: "came" }, `+ ${name}`)), ...(model.went || []).map((name) => h("li", { class: "went" }, `− ${name}`))];
  return h("li", { class: "panel model" },
    h("header", { class: "row" }, h("h2", {}, model.label), h("span", { class: "about" }, model.at ? new Date(model.at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "free music, comes with the program"), use),
    h("div", { class: "model-body" },
      h("dl", { class: "facts" },
        h("dt", {}, "Learned from"), h("dd", {}, `${plural(model.songs ?? model.data.songs ?? 0, "song")}${model.data.minutes ? `, ${Math.round(model.data.minutes)} min` : ""}`),
        h("dt", {}, "Held-out music"), h("dd", {}, bits ? `${bits.toFixed(1)} bits a second` : "not measured", h("span", { class: "about" }, model.held_out.what ? `  ${model.held_out.what}` : "")),
        h("dt", {}, "Test, as written"), h("dd", {}, ofTest(model.test.clean)),
        h("dt", {}, "Test, as heard"), h("dd", {}, ofTest(model.test.heard)),
        h("dt", {}, "Faithfulness"), faithful,
        h("dt", {}, "Before training"), h("dd", {}, model.held_out.nats_per_note_before ? `${model.held_out.nats_per_note_before.toFixed(2)} nats a note, after it ${model.held_out.nats_per_note.toFixed(2)}` : "not measured")),
      h("div", {}, curveOf(model.curve))),
    changes.length ? h("details", {}, h("summary", {}, `${plural((model.came || []).length, "song")} came, ${(model.went || []).length} went`), h("ul", { class: "changes" }, changes)) : "");
}

// Losses over steps: training faint, held-out strong.
function curveOf(curve) {
  const values = curve.flatMap((point) => [point[1], point[2]]).filter((value) => Number.isFinite(value));
  if (values.length < 2) return h("p", { class: "about" }, "No curve yet.");
  const [low, high] = [Math.min(...values), Math.max(...values)], last = curve.at(-1)[0] || 1;
  const canvas = h("canvas", { class: "curve", role: "img", "aria-label": `Training curve of ${last} steps: from ${values[0].toFixed(1)} to ${values.at(-1).toFixed(1)} nats a note` });
  const paint = () => {
    const ratio = sharpen(canvas);
    if (!ratio) return;
    const { clientWidth: width, clientHeight: height } = canvas;
    const style = getComputedStyle(canvas), pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    for (const [column, name] of [[1, "--wave"], [2, "--second"]]) {
      pen.strokeStyle = style.getPropertyValue(name);
      pen.lineWidth = 2;
      pen.beginPath();
      curve.filter((point) => Number.isFinite(point[column])).forEach((point, index) => pen[index ? "lineTo" : "moveTo"](2 + point[0] / last * (width - 4), 3 + (1 - (point[column] - low) / (high - low || 1)) * (height - 6)));
      pen.stroke();
    }
  };
  new ResizeObserver(paint).observe(canvas);
  return h("div", { class: "curve-box" }, canvas, h("span", { class: "about" }, `${high.toFixed(1)} to ${low.toFixed(1)} nats a note; green: music not learned from`));
}
