// One player for everything: a recording, a rendering, or notes by the instrument of the browser. One thing sounds at a
// time. Music that can be rendered begins with the light instrument of the browser and goes over to the rendering as soon as it is
// there; while it is still composed, beginnings of it are rendered ahead of the playhead, each longer than the last.
import { attempt } from "./api.js";
import { clock, h } from "./dom.js";
import { on, standOf } from "./live.js";
import { audio, getAnalyser, playNote, setVolume, silence } from "./synth.js";

const AHEAD_S = 0.25; // notes are given to the instrument so early
const PATIENCE_MS = 400; // a rendering that is there already is played from the start
const FADE_S = 0.12;
const LEAST_S = 6; // a beginning that is rendered reaches so far beyond the playhead
const hasKeys = !matchMedia("(hover: none)").matches; // a phone or tablet has no space bar
const EARLY_S = 20; // a longer one is asked for so long before the end of the one that plays
const listeners = new Set();
let slots = null; // two elements in turn, so that one fades into the other
let current = null; // { key, title, about, url, begins | notes(), duration(), isGrowing(), sound() }
let heard = null; // what plays from a file: { slot, begins, until }; until null is to the end
let pending = null; // the answer of sound() that is being rendered, or "asked"
let latest = 0; // the slot that was used last
let refused = false; // this music cannot be rendered; the light instrument goes on
let playing = false;
let startedAt = 0; // of notes: when time 0 of the piece is, on the clock of the audio
let resting = 0; // where the music stands while it does not play
let next = 0;
let volume = Number(localStorage.getItem("volume") ?? 0.9);
let waiting = false;
const parts = {};

export const key = () => current && current.key;
export const isPlaying = (which) => playing && (which === undefined || key() === which);
export const isRendered = () => Boolean(heard);
export function onTime(run) { listeners.add(run); return () => listeners.delete(run); }

function slotOf(index) {
  slots ||= [0, 1].map(() => {
    const element = new Audio();
    element.preload = "auto";
    const gain = audio().createGain();
    audio().createMediaElementSource(element).connect(gain).connect(getAnalyser());
    for (const event of ["loadedmetadata", "seeked"]) element.addEventListener(event, () => draw());
    return { element, gain };
  });
  return slots[index];
}

function fade(slot, to, seconds = FADE_S) {
  const gain = slot.gain.gain, now = audio().currentTime;
  gain.cancelScheduledValues(now);
  gain.setValueAtTime(gain.value, now);
  gain.linearRampToValueAtTime(to, now + seconds);
}

export function time() {
  if (!current) return 0;
  if (heard) return heard.slot.element.readyState ? heard.slot.element.currentTime + heard.begins : resting;
  return playing && !waiting ? Math.max(0, audio().currentTime - startedAt) : resting;
}

export function duration() {
  if (!current) return 0;
  if (current.duration) return current.duration();
  const length = heard ? heard.slot.element.duration : 0;
  return Number.isFinite(length) ? length + heard.begins : 0;
}

export function load(source, { at = 0, play = true } = {}) {
  stopSound();
  heard = null;
  current = source;
  pending = null;
  refused = false;
  resting = at;
  if (source.url) {
    heard = { slot: slotOf(latest = 0), begins: source.begins || 0, until: null };
    const element = heard.slot.element;
    element.onerror = () => {
      if (source.fallback && !element.src.endsWith(source.fallback)) { element.src = source.fallback; if (playing) element.play(); }
    };
    element.src = source.url;
    element.currentTime = Math.max(0, at - heard.begins);
    if (play) start();
  } else if (source.sound) {
    const asked = ask();
    if (play) Promise.race([asked, new Promise((done) => setTimeout(done, PATIENCE_MS))]).then(() => { if (current === source && !playing) start(); });
  } else if (play) start();
  draw();
}

export function toggle() {
  if (!current) return;
  playing ? pause() : start();
}

// Play this, or pause it if it plays already.
export function toggleSource(source) {
  if (key() === source.key) toggle();
  else load(source);
}

function start() {
  audio().resume();
  setVolume(volume);
  if (heard) {
    fade(heard.slot, volume, 0.01);
    heard.slot.element.play().catch(() => { playing = false; draw(); });
  } else {
    if (resting >= duration() - 0.05 && !isGrowing()) resting = 0;
    begin(resting);
  }
  playing = true;
  draw();
  requestAnimationFrame(frame);
}

function begin(at) {
  startedAt = audio().currentTime - at + 0.05;
  waiting = false;
  const notes = current.notes();
  next = notes.findIndex((note) => note[0] >= at - 0.001);
  if (next < 0) next = notes.length;
}

export function pause() {
  resting = time();
  stopSound();
  draw();
}

function stopSound() {
  playing = false;
  if (slots) for (const slot of slots) slot.element.pause();
  silence();
}

export function seek(at) {
  if (!current) return;
  const to = Math.max(0, Math.min(at, duration() || at));
  if (heard && heard.until !== null && to >= heard.until) toNotes(to);
  if (heard) heard.slot.element.currentTime = Math.max(0, to - heard.begins);
  else {
    silence();
    resting = to;
    if (playing) begin(to);
  }
  draw();
}

export function unload(which) {
  if (key() !== which) return;
  stopSound();
  heard = null;
  current = null;
  draw();
}

// The instrument has been changed: what plays goes on with the light one until the new rendering is there.
export function renderAnew() {
  if (!current || !current.sound) return;
  if (heard) toNotes(time());
  pending = null;
  refused = false;
  ask();
}

const isGrowing = () => Boolean(current && current.isGrowing && current.isGrowing());
const lastStart = () => { const notes = current.notes(); return notes.length ? notes[notes.length - 1][0] : 0; };

// From a file to the light instrument, at a moment; what rings may ring on.
function toNotes(at) {
  const { slot } = heard;
  fade(slot, 0, 2.5);
  setTimeout(() => { if (!heard || heard.slot !== slot) slot.element.pause(); }, 2600);
  heard = null;
  resting = at;
  if (playing) begin(at);
}

async function ask() {
  const source = current;
  if (pending || refused) return;
  if (isGrowing() && lastStart() < time() + LEAST_S) return;
  const mine = pending = { asked: true };
  try {
    const answer = await source.sound();
    if (pending !== mine) return;
    pending = answer;
    await arrive();
  } catch {
    if (pending === mine) { pending = null; refused = true; }
  }
}

// Goes over to what was being rendered, if it is there.
function arrive() {
  if (!pending || pending.asked || !current) return undefined;
  const now = standOf(pending).state;
  if (now === "rendering") return undefined;
  const found = pending;
  pending = null;
  if (now === "failed") { refused = true; draw(); return undefined; }
  if (found.until_s !== null && found.until_s < time() + 1) return ask();
  const slot = slotOf(latest = 1 - latest), source = current;
  const { element } = slot;
  element.onerror = () => { if (current === source && !heard) refused = true; };
  fade(slot, 0, 0.001);
  element.src = found.file;
  return new Promise((done) => element.addEventListener("loadedmetadata", () => {
    if (current !== source) { done(); return; }
    const before = heard;
    const change = () => {
      done();
      if (current !== source) { element.pause(); return; }
      fade(slot, volume);
      if (before) { fade(before.slot, 0); setTimeout(() => { if (heard && heard.slot !== before.slot) before.slot.element.pause(); }, 1000 * FADE_S + 50); }
      silence();
      heard = { slot, begins: found.begins_s, until: found.until_s };
      waiting = false;
      if (!playing) element.pause();
      draw();
    };
    element.currentTime = Math.max(0, time() - found.begins_s);
    if (playing) { element.addEventListener("playing", change, { once: true }); element.play().catch(() => {}); }
    else change();
  }, { once: true }));
}

on("sound", arrive);

function frame() {
  if (!playing) return;
  if (heard) frameOfFile();
  else schedule();
  draw();
  requestAnimationFrame(frame);
}

function frameOfFile() {
  const now = time();
  if (heard.until !== null) {
    if (!pending && (!isGrowing() || (now > heard.until - EARLY_S && lastStart() > heard.until + LEAST_S / 2))) ask();
    if (now >= heard.until) toNotes(now);
  }
  if (heard && heard.slot.element.ended) { resting = 0; heard.slot.element.currentTime = 0; stopSound(); }
}

function schedule() {
  const notes = current.notes();
  if (current.sound) ask();
  if (waiting) {
    const last = notes.length ? notes[notes.length - 1][0] : 0;
    if (last > resting + 1.5 || !isGrowing()) begin(resting);
    else return;
  }
  const now = time();
  while (next < notes.length && notes[next][0] < now + AHEAD_S) {
    playNote(notes[next], startedAt + notes[next][0]);
    next += 1;
  }
  if (next >= notes.length && isGrowing()) { resting = now; waiting = true; }
  else if (now > duration() && !isGrowing()) { resting = 0; stopSound(); }
}

// The bar at the bottom

export function build(footer) {
  parts.button = h("button", { class: "play", "aria-label": "Play", onclick: toggle }, "▶");
  parts.title = h("span", { class: "title" });
  parts.about = h("span", { class: "about" });
  parts.time = h("span", { class: "time" }, "0:00");
  parts.range = h("input", { type: "range", min: 0, max: 1000, value: 0, "aria-label": "Position",
    oninput: () => seek(Number(parts.range.value) / 1000 * duration()) });
  parts.volume = h("input", { type: "range", min: 0, max: 100, value: volume * 100, "aria-label": "Volume", class: "volume",
    oninput: () => { volume = Number(parts.volume.value) / 100; localStorage.setItem("volume", volume); setVolume(volume); if (heard) fade(heard.slot, volume, 0.02); } });
  parts.spectrum = h("canvas", { class: "spectrum", width: 240, height: 64, role: "img", "aria-label": "Spectrum of what sounds" });
  footer.append(parts.button, h("span", { class: "what" }, parts.title, parts.about), parts.time, parts.range, parts.spectrum, parts.volume);
  draw();
}

function draw() {
  const now = time();
  const total = duration();
  parts.button.textContent = playing ? "❚❚" : "▶";
  parts.button.setAttribute("aria-label", playing ? "Pause" : "Play");
  parts.button.disabled = !current;
  parts.title.textContent = current ? current.title : "Nothing is loaded";
  parts.about.textContent = waiting && playing ? "waiting for notes" : !current ? (hasKeys ? "space plays" : "") : current.sound && !heard && playing ? (refused ? "light sound" : "light sound, until the instrument is ready") : (heard && current.soundName && current.soundName()) || current.about || "";
  parts.time.textContent = current ? `${clock(now)} / ${clock(total)}` : "";
  parts.range.disabled = !current;
  if (document.activeElement !== parts.range || !parts.range.matches(":active")) parts.range.value = total ? now / total * 1000 : 0;
  parts.range.setAttribute("aria-valuetext", `${clock(now)} of ${clock(total)}`);
  drawSpectrum();
  for (const run of listeners) run(key(), now);
}

let bins;
function drawSpectrum() {
  const canvas = parts.spectrum;
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (!playing) return;
  const analyser = getAnalyser();
  bins ||= new Uint8Array(analyser.frequencyBinCount);
  analyser.getByteFrequencyData(bins);
  pen.fillStyle = getComputedStyle(canvas).color;
  const bars = 48;
  for (let bar = 0; bar < bars; bar++) { // 40 Hz to 12 kHz, equal steps of pitch
    const hertz = 40 * 300 ** (bar / bars);
    const value = bins[Math.min(bins.length - 1, Math.round(hertz / audio().sampleRate * analyser.fftSize))] / 255;
    const tall = Math.max(1, value ** 1.4 * canvas.height);
    pen.fillRect(bar * 5, canvas.height - tall, 3, tall);
  }
}

export const noteOnce = (note) => attempt(async () => { audio().resume(); setVolume(volume); playNote([0, note[1], Math.min(2, note[2] - note[0]), note[3]]); });
