// One player for everything: a recording, or notes by the instrument of the browser. One thing sounds at a time.
import { attempt } from "./api.js";
import { clock, h } from "./dom.js";
import { audio, getAnalyser, playNote, setVolume, silence } from "./synth.js";

const AHEAD_S = 0.25;
const listeners = new Set();
const element = new Audio();
element.preload = "auto";
let wired = false;
let current = null; // { key, title, about, url | notes(), duration(), isGrowing() }
let playing = false;
let startedAt = 0; // of notes: when time 0 of the piece is, on the clock of the audio
let resting = 0; // where notes stand while they do not play
let next = 0;
let volume = Number(localStorage.getItem("volume") ?? 0.9);
let waiting = false;
const parts = {};

export const key = () => current && current.key;
export const isPlaying = (which) => playing && (which === undefined || key() === which);
export function onTime(run) { listeners.add(run); return () => listeners.delete(run); }

export function time() {
  if (!current) return 0;
  if (current.url) return element.currentTime;
  return playing && !waiting ? Math.max(0, audio().currentTime - startedAt) : resting;
}

export function duration() {
  if (!current) return 0;
  if (current.duration) return current.duration();
  return Number.isFinite(element.duration) ? element.duration : 0;
}

export function load(source, { at = 0, play = true } = {}) {
  stopSound();
  current = source;
  resting = at;
  if (source.url) {
    element.src = source.url;
    element.onerror = () => {
      if (source.fallback && !element.src.endsWith(source.fallback)) { element.src = source.fallback; if (playing) element.play(); }
    };
    element.currentTime = at;
  }
  if (play) start();
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
  const context = audio();
  context.resume();
  if (current.url) {
    if (!wired) { context.createMediaElementSource(element).connect(getAnalyser()); wired = true; }
    element.volume = volume;
    element.play().catch(() => { playing = false; draw(); });
  } else {
    setVolume(volume);
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
  element.pause();
  silence();
}

export function seek(at) {
  if (!current) return;
  const to = Math.max(0, Math.min(at, duration() || at));
  if (current.url) element.currentTime = to;
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
  current = null;
  draw();
}

const isGrowing = () => Boolean(current && current.isGrowing && current.isGrowing());

function frame() {
  if (!playing) return;
  if (!current.url) schedule();
  else if (element.ended) { playing = false; element.currentTime = 0; }
  draw();
  requestAnimationFrame(frame);
}

function schedule() {
  const notes = current.notes();
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
    oninput: () => { volume = Number(parts.volume.value) / 100; localStorage.setItem("volume", volume); element.volume = volume; if (current && !current.url) setVolume(volume); } });
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
  parts.about.textContent = waiting && playing ? "waiting for notes" : current ? current.about || "" : "space plays";
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

element.addEventListener("loadedmetadata", () => draw());
element.addEventListener("seeked", () => draw());
export const noteOnce = (note) => attempt(async () => { audio().resume(); setVolume(volume); playNote([0, note[1], Math.min(2, note[2] - note[0]), note[3]]); });
