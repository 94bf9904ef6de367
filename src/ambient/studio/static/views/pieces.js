// Finished pieces: heard with any instrument, taken along, and traced back to what they were made from.
import { attempt, get, post } from "../api.js";
import { clock, h, plural, toast } from "../dom.js";
import * as instruments from "../instrument.js";
import { on, standOf } from "../live.js";
import { Loudness } from "../loudness.js";
import * as player from "../player.js";
import { Roll } from "../roll.js";
import { began } from "./compose.js";

const FORMATS = [["mp3", "MP3"], ["wav", "WAV"], ["flac", "FLAC"], ["stems", "Stems"], ["score", "MusicXML"], ["picture", "Picture"]];

export function show(place, [wanted]) {
  const list = h("ul", { class: "pieces-list", "aria-label": "Pieces" });
  const stage = h("section", { class: "panel stage" });
  place.append(h("div", { class: "split" }, h("aside", {}, h("h1", {}, "Pieces"), list), stage));
  let pieces = [], chosen = wanted || null, opened = null;

  const choose = async (id) => {
    chosen = id;
    history.replaceState(null, "", `#/pieces/${id}`);
    for (const item of list.children) item.querySelector("a")?.toggleAttribute("aria-current", item.dataset.id === id);
    opened?.leave();
    opened = await open(stage, id);
  };
  const refresh = async () => {
    const found = await attempt(() => get("/api/pieces"));
    if (!found) return;
    pieces = found;
    const part = (title, origin) => {
      const some = pieces.filter((piece) => piece.origin === origin);
      return some.length ? [h("li", { class: "label" }, title), ...some.map((piece) => h("li", { "data-id": piece.id }, h("a", { href: `#/pieces/${piece.id}`, onclick: (event) => { event.preventDefault(); choose(piece.id); } }, h("span", {}, piece.title), h("span", { class: "about" }, clock(piece.seconds)))))] : [];
    };
    list.replaceChildren(...part("Kept", "kept"), ...part("Of the chain", "chain"));
    if (!pieces.length && !chosen) stage.replaceChildren(h("p", { class: "nothing" }, "No pieces yet. Keep a take in ", h("a", { href: "#/compose" }, "Compose"), ", or let the chain compose from your songs."));
    else if (!opened) choose(chosen || pieces[0].id);
    for (const item of list.children) item.querySelector("a")?.toggleAttribute("aria-current", item.dataset.id === chosen);
  };
  const onKey = (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.detail];
    if (step && pieces.length) {
      const at = pieces.findIndex((piece) => piece.id === chosen);
      choose(pieces[Math.max(0, Math.min(pieces.length - 1, at + step))].id);
      event.preventDefault();
    } else if (event.detail === "Enter") { opened?.play(); event.preventDefault(); }
    else if (event.detail === "a") { opened?.again(); event.preventDefault(); }
    else if (event.detail === "c") { opened?.goOn(); event.preventDefault(); }
  };
  place.addEventListener("key", onKey);
  refresh();
  let last = "";
  const stops = [
    on("takes", refresh),
    on("flow", (flow) => { const stamp = JSON.stringify(flow.nodes.map((node) => [node.name, node.job, node.state])); if (stamp !== last) { if (last) refresh(); last = stamp; } }),
    on("sound", () => opened?.sound()),
    on("answers", () => opened?.answers()),
    player.onTime((key, time) => opened?.time(key, time)),
  ];
  return () => { stops.forEach((stop) => stop()); place.removeEventListener("key", onKey); opened?.leave(); };
}

async function open(stage, id) {
  const presets = await attempt(() => instruments.instruments());
  const piece = await attempt(() => get(`/api/pieces/${id}`));
  if (!piece || !presets) { stage.replaceChildren(h("p", { class: "nothing" }, "This piece is not here any more.")); return null; }
  let rendering = null, gone = false;
  const wanted = new Map(); // format -> title of a download that waits
  const roll = new Roll({ seek: (at) => { if (player.key() === key()) player.seek(at); else play(at); } });
  roll.canvas.classList.add("tall");
  roll.set({ notes: piece.notes, primer: piece.primer, primerS: piece.primer_s, keptS: piece.kept_s || 0 });
  const status = h("p", { class: "about", role: "status" });
  const loudness = new Loudness(roll);
  let measuring = null;
  const key = () => `piece ${id} ${instruments.instrument()}`;
  const chips = h("div", { class: "chips", role: "radiogroup", "aria-label": "Instrument" }, presets.map((each) => h("button", { role: "radio", title: each.description, "aria-checked": String(each.id === instruments.instrument()), "data-id": each.id, onclick: () => pick(each.id) }, each.name)));
  const about = h("p", { class: "about" });
  const playButton = h("button", { class: "play", onclick: () => play() }, "▶");
  const downloads = h("div", { class: "row downloads" }, h("a", { class: "button", href: `/api/pieces/${id}/midi`, download: "" }, "MIDI"),
    FORMATS.map(([kind, name]) => h("button", { onclick: () => download(kind) }, name)));
  const matchBox = h("div", { class: "match" });
  const remakeBox = h("span", { class: "about", role: "status" });
  const again = h("button", { onclick: () => attempt(async () => { tellRemake(await post(`/api/pieces/${id}/remake`)); }) }, "Make exactly this again");

  const pick = (name) => {
    const wasPlaying = player.isPlaying(key()), at = player.key() === key() ? player.time() : 0;
    instruments.choose(name);
    loudness.set(null);
    for (const chip of chips.children) chip.setAttribute("aria-checked", String(chip.dataset.id === name));
    rendering = null;
    tell();
    if (wasPlaying) { player.pause(); play(at); }
  };
  const tell = () => { about.textContent = instruments.about()?.description || ""; };
  const play = (at = 0) => attempt(async () => {
    if (player.key() === key() && !at) { player.toggle(); return; }
    rendering = { at, ...(await post("/api/renderings", { piece: id, preset: instruments.instrument(), kind: "mp3" })) };
    follow();
  });
  const follow = () => {
    if (gone || !rendering) return;
    const now = standOf(rendering);
    if (now.state === "failed") { status.textContent = now.error; rendering = null; } else if (now.state === "ready") {
      status.textContent = "";
      player.load({ key: key(), title: piece.title, about: instruments.about()?.name, url: rendering.file, begins: rendering.begins_s }, { at: Math.max(rendering.at, rendering.begins_s) });
      rendering = null;
      measure();
    } else status.textContent = "Being played by the instrument; a minute of music takes a few seconds.";
  };
  const measure = () => attempt(async () => {
    measuring = await post("/api/renderings", { piece: id, preset: instruments.instrument(), kind: "loudness" });
    showMeasured();
  });
  const showMeasured = () => attempt(async () => {
    const asked = measuring;
    if (gone || !asked || standOf(asked).state === "rendering") return;
    measuring = null;
    if (standOf(asked).state === "ready") loudness.set(await get(asked.file), asked.begins_s);
  });
  const measureIfRendered = async () => { // what was rendered before is measured without being asked for
    const asked = await post("/api/renderings", { piece: id, preset: instruments.instrument(), kind: "loudness" }).catch(() => null);
    if (asked && asked.state !== "failed") { measuring = asked; showMeasured(); }
  };
  // Keep it up to the playhead, and let the rest be composed anew; or let it go on at its end.
  const anew = (at_s, more, words) => attempt(async () => began(await post(`/api/pieces/${id}/again`, { at_s, ...more }), words));
  const onFrom = () => {
    const at = player.key() === key() ? player.time() : 0;
    if (at < 1) { toast("Play or click to the moment from which it should be composed anew, then press this"); return; }
    anew(at, { count: 2 }, `from ${clock(at)} on; they are in Compose`);
  };
  const goOn = () => anew(piece.seconds + 0.01, { count: 1, minutes: 1 }, "goes on for a minute; it is in Compose");
  const download = (kind) => attempt(async () => {
    const asked = await post("/api/renderings", { piece: id, preset: instruments.instrument(), kind });
    wanted.set(kind, asked);
    fetchReady();
  });
  const fetchReady = () => {
    for (const [kind, asked] of wanted) {
      const now = standOf(asked);
      if (now.state === "ready") {
        wanted.delete(kind);
        status.textContent = "";
        h("a", { href: `${asked.file}?title=${encodeURIComponent(piece.title)}`, download: "" }).click();
      } else if (now.state === "failed") {
        wanted.delete(kind);
        status.textContent = kind === "score" ? `No score: ${now.error.replace(/^[^:]*: /, "")}` : "";
        if (kind !== "score") toast(now.error, { kind: "bad" });
      } else status.textContent = kind === "score" ? "Looking for the beat, and writing the score" : `Rendering ${kind}`;
    }
  };

  const tellMatch = (found) => {
    if (found.error) { matchBox.replaceChildren(h("p", { class: "about" }, found.error)); return; }
    if (found.state !== "done") { matchBox.replaceChildren(h("p", { class: "about" }, "Looking through the training music")); return; }
    if (!found.answer?.match) { matchBox.replaceChildren(h("p", { class: "about" }, "Nothing in the training music is like it.")); return; }
    const { match, here, there } = found.answer;
    const shift = (rows, by) => rows.map(([start, pitch, end, velocity]) => [start - by, pitch, end - by, velocity]).filter((row) => row[0] >= 0);
    const side = (title, rows, by) => {
      const small = new Roll({ note: player.noteOnce });
      small.set({ notes: shift(rows, by) });
      const listen = h("button", { class: "play small", "aria-label": `Play the passage: ${title}`, onclick: () => player.load({ key: `match ${title}`, title, notes: () => shift(rows, by), duration: () => Math.max(1, ...shift(rows, by).map((row) => row[2])) }) }, "▶");
      return h("div", {}, h("div", { class: "row" }, listen, h("span", { class: "about" }, title)), small.canvas);
    };
    matchBox.replaceChildren(
      h("p", {}, `${plural(match.notes, "note")} in a row, for ${match.seconds.toFixed(1)} s, are also in `, h("b", {}, match.source.split("__").pop()), match.transposed ? `, ${Math.abs(match.transposed)} semitones ${match.transposed > 0 ? "lower" : "higher"} there.` : "."),
      h("div", { class: "two" }, side(`here, at ${clock(match.at_s)}`, here, Math.max(0, match.at_s - 2)), side(`there, at ${clock(match.source_at_s)}`, there, Math.max(0, match.source_at_s - 2))));
  };
  const tellRemake = (found) => {
    again.disabled = found.state === "working";
    remakeBox.textContent = found.state === "working" ? "Composing it again" : found.error ? found.error : found.answer ? "Made again: the same, byte for byte." : "";
  };

  const facts = [["Composer", piece.model_label], ["Learned from", piece.songs.length ? plural(piece.songs.length, "song") + " of yours" : "the free music of the shipped model"], ["Goes on from", piece.primer_label || piece.settings.primer || "nothing"], ["Seed", piece.settings.seed], ["Wishes", wishes(piece.settings)]].filter(([, value]) => value !== undefined && value !== "");
  stage.replaceChildren(
    h("header", { class: "row" }, playButton, h("div", { class: "grow" }, h("h2", {}, piece.title), h("span", { class: "about" }, `${clock(piece.seconds)} · ${plural(piece.notes.length, "note")}`))),
    roll.canvas, loudness.element, chips, about, status, h("h3", {}, "Take along"), downloads,
    h("h3", {}, "Where it comes from"), h("dl", { class: "facts" }, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])),
    piece.songs.length ? h("p", { class: "about" }, piece.songs.join(", ")) : "",
    matchBox, h("div", { class: "row" }, again, remakeBox, h("button", { onclick: onFrom, title: "Keep it up to the playhead, compose the rest anew (a)" }, "Again from here"), h("button", { onclick: goOn, title: "Another minute at its end (c)" }, "Continue"), h("a", { class: "button", href: `#/compose/piece/${id}` }, "Compose from it")));
  tell();
  measureIfRendered();
  const askMatch = () => attempt(async () => { if (!gone) tellMatch(await post(`/api/pieces/${id}/match`)); });
  askMatch();
  return {
    play,
    again: onFrom,
    goOn,
    sound() { follow(); fetchReady(); showMeasured(); },
    answers() { askMatch(); attempt(async () => { if (!gone) tellRemake(await post(`/api/pieces/${id}/remake?ask=true`)); }); },
    time(which, time) {
      const isMine = which === key();
      roll.setPlayhead(isMine ? time : null);
      loudness.time(isMine ? time : null);
      playButton.textContent = isMine && player.isPlaying() ? "❚❚" : "▶";
      playButton.setAttribute("aria-label", `${playButton.textContent === "▶" ? "Play" : "Pause"} ${piece.title}`);
    },
    leave() { gone = true; },
  };
}

// A percentile, or of a curve over time the least and the most.
function ofCurve(text) {
  const values = text.split(" ").map((point) => Number(point.split(":").pop()));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? `${low}` : `${low}–${high}`;
}

const NAMES = { density: "busy", register: "high", polyphony: "full", loudness: "loud", note_length: "long" };
function wishes(settings) {
  const said = Object.entries(NAMES).filter(([name]) => settings[name] !== undefined).map(([name, word]) => `${word} ${ofCurve(String(settings[name]))} %`);
  if (settings.temperature !== undefined && settings.temperature !== 1) said.push(`temperature ${settings.temperature}`);
  return said.join(", ") || "as the primer";
}
