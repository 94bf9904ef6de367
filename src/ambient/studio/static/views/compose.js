// Composing: what to go on from, how it should be, and takes that grow while they can be heard.
import { attempt, get, post, send } from "../api.js";
import { clock, h, plural, toast } from "../dom.js";
import * as instruments from "../instrument.js";
import { Lane } from "../lanes.js";
import { growing, on, state } from "../live.js";
import * as player from "../player.js";
import { Roll } from "../roll.js";
import { setUndo } from "../undo.js";

const LANES = [
  { id: "density", low: "calm", high: "busy", hint: "How many notes start in a second" },
  { id: "register", low: "low", high: "high", hint: "How high the notes are" },
  { id: "polyphony", low: "thin", high: "full", hint: "How many notes sound together" },
  { id: "loudness", low: "soft", high: "loud", hint: "How hard the notes are struck" },
  { id: "note_length", low: "short", high: "long", hint: "How long the notes sound" },
];
const WORKING = ["waiting", "composing"];
const details = new Map(); // take -> { notes, primer, primer_s, revision }
let desk = null; // what is set, kept while another view is shown

export function show(place, [kind, id, begin, end]) {
  desk ||= makeDesk();
  const takes = h("section", { class: "takes", "aria-label": "Takes" });
  const sound = h("select", { "aria-label": "Instrument", onchange: () => { instruments.choose(sound.value); player.renderAnew(); } });
  instruments.instruments().then((list) => {
    sound.replaceChildren(...list.map((each) => h("option", { value: each.id, title: each.description }, each.name)));
    sound.value = instruments.instrument();
  }).catch(() => {});
  place.append(desk.element, h("div", { class: "takes-side" }, h("label", { class: "played-by about" }, "Played by ", sound), takes));
  if (kind) desk.take(kind, id, Number(begin) || 0, end === undefined ? null : Number(end));
  else desk.refresh();
  const cards = new Map();
  let chosen = null;
  let showDiscarded = false;
  const choose = (take) => { chosen = take; cards.forEach((card, key) => card.element.classList.toggle("chosen", key === take)); };
  const rest = h("button", { class: "quiet", onclick: () => { showDiscarded = !showDiscarded; draw(state.takes); } });

  const draw = (list) => {
    if (!list) return;
    const seen = list.filter((take) => showDiscarded || take.verdict !== "discarded");
    const hidden = list.filter((take) => take.verdict === "discarded").length;
    for (const [key, card] of cards) if (!seen.some((take) => take.id === key)) { card.element.remove(); cards.delete(key); }
    seen.forEach((take, index) => {
      let card = cards.get(take.id);
      if (!card) { card = cardOf(take.id, () => choose(take.id)); cards.set(take.id, card); }
      card.update(take);
      if (takes.children[index] !== card.element) takes.insertBefore(card.element, takes.children[index] || null);
    });
    takes.querySelector(".nothing")?.remove();
    if (!seen.length) takes.append(h("p", { class: "nothing" }, "Nothing composed yet. Choose a primer, draw how the music should be, and press Compose."));
    rest.textContent = showDiscarded ? "Hide what was discarded" : `Show ${plural(hidden, "discarded take")}`;
    if (hidden) takes.append(rest);
    else rest.remove();
  };
  const onKey = (event) => {
    const all = [...cards.keys()].sort((a, b) => [...takes.children].indexOf(cards.get(a).element) - [...takes.children].indexOf(cards.get(b).element));
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.detail];
    if (step && all.length) {
      choose(all[Math.max(0, Math.min(all.length - 1, all.indexOf(chosen) + step))]);
      cards.get(chosen).element.scrollIntoView({ block: "nearest" });
      cards.get(chosen).element.focus();
      event.preventDefault();
      return;
    }
    const act = { Enter: "play", k: "keep", d: "discard", m: "more", a: "again", c: "goOn" }[event.detail];
    const card = cards.get(chosen ?? (player.key() || "").replace("take ", ""));
    if (act && card) { card[act](); event.preventDefault(); }
  };
  place.addEventListener("key", onKey);
  draw(state.takes);
  const stops = [
    on("takes", draw),
    on("notes", (take) => cards.get(take)?.grow()),
    player.onTime((key, time) => cards.forEach((card, take) => card.time(key === `take ${take}` ? time : null))),
  ];
  return () => { stops.forEach((stop) => stop()); place.removeEventListener("key", onKey); };
}

export function sourceOf(take) {
  return {
    key: `take ${take.id}`, title: take.title, about: take.primer_label ? `from ${take.primer_label}` : "",
    notes: () => notesOf(take.id),
    duration: () => latest(take.id)?.seconds ?? latest(take.id)?.wanted_s ?? take.wanted_s,
    isGrowing: () => WORKING.includes(latest(take.id)?.state),
    sound: () => post("/api/renderings", { piece: take.id, preset: instruments.instrument(), kind: "mp3" }),
    soundName: () => instruments.about()?.name,
  };
}

// Tells of takes that were asked for; the same word takes them back, stops them if they are not finished.
export function began(answer, words) {
  if (!answer) return;
  const undo = () => attempt(async () => { await post(`/api/takes/${answer.takes[0]}/undo`); toast("Taken back"); });
  setUndo(undo);
  toast(`${plural(answer.takes.length, "take")} ${words}`, { action: "Undo", run: undo });
}

export const latest = (id) => (state.takes || []).find((take) => take.id === id);
const notesOf = (id) => (WORKING.includes(latest(id)?.state) ? growing.get(id) : details.get(id)?.notes || growing.get(id)) || [];

export async function detailOf(take) {
  const known = details.get(take.id);
  if (known && known.revision === take.revision) return known;
  const found = await get(`/api/takes/${take.id}`);
  details.set(take.id, found);
  return found;
}

function cardOf(id, choose) {
  let take = latest(id);
  const roll = new Roll({ seek: (at) => { choose(); start(at); }, note: null });
  const play = h("button", { class: "play small", onclick: () => { choose(); card.play(); } }, "▶");
  const title = h("a", { class: "take-title" });
  const about = h("span", { class: "about" });
  const button = (text, run, label) => h("button", { onclick: () => { choose(); run(); }, title: label }, text);
  const actions = h("div", { class: "row actions" });
  const element = h("article", { class: "take", tabindex: -1 }, h("header", {}, play, title, about), roll.canvas, actions);
  const start = (at) => { if (player.key() === `take ${id}`) player.seek(at); else player.load(sourceOf(take), { at }); };
  let shape = "";

  const judge = (verdict, words) => attempt(async () => {
    const before = take.verdict;
    await post(`/api/takes/${id}/verdict`, { verdict });
    const undo = () => attempt(() => post(`/api/takes/${id}/verdict`, { verdict: before }));
    setUndo(undo);
    if (words) toast(`${take.title} ${words}`, { action: "Undo", run: undo });
  });

  const card = {
    element,
    play: () => player.toggleSource(sourceOf(take)),
    keep: () => judge(take.verdict === "kept" ? "open" : "kept", take.verdict === "kept" ? "" : "is kept"),
    discard: () => judge("discarded", "is discarded"),
    more: () => attempt(async () => began(await post(`/api/takes/${id}/more`, { count: 3 }), `like ${take.title}`)),
    again: () => attempt(async () => {
      const at = player.key() === `take ${id}` ? player.time() : 0;
      if (at < 1) { toast("Play or click to the moment from which it should be composed anew, then press this"); return; }
      began(await post(`/api/takes/${id}/again`, { at_s: at, count: 2 }), `from ${clock(at)} on`);
    }),
    goOn: () => attempt(async () => began(await post(`/api/takes/${id}/again`, { at_s: take.seconds + 0.01, count: 1, minutes: 1 }), "goes on for a minute")),
    update(fresh) {
      const revised = !take || fresh.revision !== take.revision || fresh.state !== take.state;
      take = fresh;
      title.textContent = take.title;
      play.setAttribute("aria-label", `Play ${take.title}`);
      const isWorking = WORKING.includes(take.state);
      element.dataset.state = take.state;
      element.dataset.verdict = take.verdict;
      if (take.state === "done") title.setAttribute("href", `#/pieces/${take.id}`);
      else title.removeAttribute("href");
      about.textContent = isWorking ? (take.state === "waiting" ? "waits" : `${(growing.get(id) || []).length} notes so far`) : take.state === "done" ? `${clock(take.seconds)} · ${take.primer_label === "nothing" ? "from nothing" : take.primer_label}` : take.state === "failed" ? take.error : "stopped";
      const next = `${take.state} ${take.verdict}`;
      if (next !== shape) { shape = next; actions.replaceChildren(...buttons()); }
      if (isWorking) card.grow();
      else if (take.state === "done" && (revised || !details.has(id))) {
        detailOf(take).then((found) => { roll.set({ notes: found.notes, primer: found.primer.slice(-400), primerS: found.primer_s, keptS: found.kept_s, wanted: 0 }); }).catch(() => {});
      }
    },
    grow() {
      if (take?.state === "composing") about.textContent = `${(growing.get(id) || []).length} notes so far`;
      if (!details.has(id) && take) {
        details.set(id, { notes: [], revision: -1 });
        get(`/api/takes/${id}`).then((found) => roll.set({ primer: found.primer.slice(-400), primerS: found.primer_s })).catch(() => {});
      }
      roll.set({ notes: growing.get(id) || [], keptS: take.kept_s, wanted: take.wanted_s });
    },
    time(time) {
      play.textContent = time !== null && player.isPlaying(`take ${id}`) ? "❚❚" : "▶";
      roll.setPlayhead(time);
    },
  };

  const buttons = () => {
    if (WORKING.includes(take.state)) return [button("Stop", () => attempt(() => post(`/api/takes/${id}/cancel`)), "Stop composing these takes")];
    if (take.state !== "done") return [button("Remove", () => attempt(() => send("DELETE", `/api/takes/${id}`)), "Remove from the list")];
    const keep = button(take.verdict === "kept" ? "Kept ✓" : "Keep", card.keep, take.verdict === "kept" ? "Kept; press to take that back" : "Keep (k)");
    keep.setAttribute("aria-pressed", String(take.verdict === "kept"));
    const away = take.verdict === "discarded" ? button("Take back", () => judge("open", ""), "Not discarded any more") : button("Discard", card.discard, "Discard (d)");
    return [keep, away, button("More like this", card.more, "More takes of this kind (m)"), button("Again from here", card.again, "Keep it up to the playhead, compose the rest anew (a)"), button("Continue", card.goOn, "Another minute at its end (c)")];
  };
  return card;
}

// The desk: primer, wishes, how long, how many

function makeDesk() {
  const primer = { kind: "none", id: "", begin_s: 0, end_s: null };
  let samples = [], songs = [], pieces = [], models = [];
  const roll = new Roll({ select: (begin, end) => mark(begin, end), seek: (at) => (player.key() === "primer" ? player.seek(at) : player.load(primerSource(), { at })) });
  roll.canvas.classList.add("low");
  const what = h("select", { "aria-label": "What the music goes on from", onchange: () => chooseValue(what.value) });
  const passage = h("span", { class: "about" });
  const file = h("input", { type: "file", accept: ".mid,.midi", hidden: true, onchange: () => attempt(async () => {
    const chosen = file.files[0];
    const found = await post0(`/api/primers?name=${encodeURIComponent(chosen.name)}`, chosen);
    samples.push({ ...found, kind: "file" });
    fill();
    choosePrimer("file", found.id);
  }) });
  const hear = h("button", { class: "play small", "aria-label": "Play the primer", onclick: () => player.toggleSource(primerSource()) }, "▶");
  const lanes = LANES.map((about) => new Lane(about, () => {}));
  const adventure = h("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Near the songs to adventurous" });
  const minutes = h("input", { type: "number", min: 0.25, max: 30, step: 0.25, value: 2, "aria-label": "Minutes" });
  const count = h("input", { type: "number", min: 1, max: 8, value: 4, "aria-label": "How many" });
  const model = h("select", { "aria-label": "Composer" });
  const go = h("button", { class: "primary", onclick: () => compose() }, "Compose");
  const surprise = h("button", { onclick: () => { surpriseMe(); compose(); } }, "Surprise me");
  let notes = [];
  const primerSource = () => ({ key: "primer", title: "Primer", about: what.selectedOptions[0]?.textContent, notes: () => notes, duration: () => notes.reduce((last, note) => Math.max(last, note[2]), 0) });

  const element = h("section", { class: "desk panel", "aria-label": "What to compose" },
    h("div", { class: "primer" }, h("div", { class: "row" }, hear, h("label", { class: "field grow" }, h("span", {}, "Go on from"), what), h("button", { onclick: () => file.click() }, "MIDI file"), file), roll.canvas, passage),
    h("div", { class: "lanes" }, lanes.map((lane) => lane.element),
      h("label", { class: "adventure" }, h("span", {}, "near the songs"), adventure, h("span", {}, "adventurous"))),
    h("div", { class: "row end" }, h("label", { class: "field" }, h("span", {}, "Minutes"), minutes), h("label", { class: "field" }, h("span", {}, "Takes"), count), h("label", { class: "field grow" }, h("span", {}, "Composer"), model)), h("div", { class: "row end" }, surprise, go));

  const key = () => (primer.kind === "none" ? "none" : `${primer.kind}/${primer.id}`);
  const fill = () => {
    const group = (label, list, kind) => (list.length ? h("optgroup", { label }, list.map((each) => h("option", { value: `${each.kind || kind}/${each.id}` }, each.name || each.title))) : null);
    what.replaceChildren(...[h("option", { value: "none" }, "nothing"), group("Samples", samples, "sample"), group("Songs", songs.filter((song) => song.heard), "song"), group("Pieces", pieces, "piece")].filter(Boolean));
    what.value = key();
    if (!what.value) choosePrimer("none", "");
  };
  const chooseValue = (value) => { const [kind, id = ""] = value.split("/"); choosePrimer(kind, id); };
  const choosePrimer = async (kind, id, begin = 0, end = null) => {
    Object.assign(primer, { kind, id, begin_s: begin, end_s: end });
    what.value = key();
    player.unload("primer");
    notes = [];
    if (kind === "sample" || kind === "file") notes = samples.find((each) => each.id === id)?.notes || [];
    else if (kind === "song") notes = (await attempt(() => get(`/api/songs/${id}/notes`)))?.notes || [];
    else if (kind === "piece") notes = (await attempt(() => get(`/api/pieces/${id}`)))?.notes || [];
    roll.set({ notes });
    roll.canvas.hidden = hear.hidden = !notes.length;
    if (end === null && notes.length) roll.select(null);
    else if (end !== null) roll.select(begin, end);
    tellPassage();
  };
  const mark = (begin, end) => { primer.begin_s = begin; primer.end_s = end; tellPassage(); };
  const tellPassage = () => {
    passage.textContent = !notes.length ? "The music begins by itself." : primer.end_s === null ? "All of it; drag over the notes to mark a passage." : `From ${clock(primer.begin_s)} to ${clock(primer.end_s)}; choose it again above for all of it.`;
  };
  const surpriseMe = () => {
    const any = (list) => list[Math.floor(Math.random() * list.length)];
    for (const lane of lanes) {
      const kind = Math.random();
      if (kind < 0.4) lane.set(null);
      else if (kind < 0.6) lane.setFlat(5 * Math.floor(Math.random() * 21));
      else { const from = Math.random() * 100, to = Math.random() * 100; lane.set(Array.from({ length: 9 }, (_, i) => Math.round(from + (to - from) * (1 - Math.cos(Math.PI * i / 8)) / 2))); }
    }
    adventure.value = 30 + Math.floor(Math.random() * 50);
    const primers = [...samples.map((each) => ["sample", each]), ...songs.filter((each) => each.heard).map((each) => ["song", each])];
    const picked = any(primers);
    if (!picked) return;
    const [kind, found] = picked;
    const length = found.seconds || 20, end = Math.min(length, 8 + Math.random() * 20);
    choosePrimer(found.kind || kind, found.id, 0, kind === "song" ? Number(end.toFixed(1)) : null);
  };
  const compose = () => attempt(async () => {
    go.disabled = true;
    try {
      const wish = { primer: { ...primer }, minutes: Number(minutes.value), count: Number(count.value), adventure: Number(adventure.value), model: model.value };
      for (const lane of lanes) { const points = lane.points(wish.minutes); if (points) wish[lane.id] = points; }
      began(await post("/api/takes", wish), "asked for");
    } finally { go.disabled = false; }
  });
  player.onTime((playing) => { hear.textContent = playing === "primer" && player.isPlaying() ? "❚❚" : "▶"; });

  const refresh = async () => {
    const found = await attempt(() => Promise.all([get("/api/primers"), get("/api/songs"), get("/api/pieces"), get("/api/models")]));
    if (!found) return;
    samples = [...found[0], ...samples.filter((each) => each.kind === "file")];
    [, songs, pieces, models] = found;
    model.replaceChildren(...models.map((each) => h("option", { value: each.id }, each.songs ? `${each.label}, ${plural(each.songs, "song")}` : each.label)));
    model.value = models.find((each) => each.composes)?.id;
    const isFirst = !what.children.length;
    fill();
    if (isFirst && primer.kind === "none" && samples.length) choosePrimer("sample", samples[0].id);
    else tellPassage();
  };
  return {
    element,
    refresh,
    async take(kind, id, begin, end) { await refresh(); await choosePrimer(kind, id, begin, end); history.replaceState(null, "", "#/compose"); },
  };
}

const post0 = (path, body) => send("POST", path, body);
