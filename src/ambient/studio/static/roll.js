// A piano roll on a canvas. The notes are painted once; each frame only moves the playhead over them.
import { clock, pitchName, plural, sharpen } from "./dom.js";

export class Roll {
  // options: perSecond (pixels; 0 fits all into the width), seek(time), note(row), select(begin, end)
  constructor(options = {}) {
    this.options = options;
    this.notes = [];
    this.primer = [];
    this.primerS = 0; // the piece begins there on the shown clock
    this.keptS = 0;
    this.wanted = 0;
    this.confidences = null;
    this.playhead = null;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "roll";
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", this.describe()); // before it is painted, too
    this.paper = document.createElement("canvas");
    this.observer = new ResizeObserver(() => this.repaint());
    this.observer.observe(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.scroll = 0;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
    addEventListener("theme", () => this.repaint());
  }

  set({ notes, primer, primerS, keptS, wanted, confidences }) {
    if (notes) this.notes = notes;
    if (primer) this.primer = primer;
    if (primerS !== undefined) this.primerS = primerS;
    if (keptS !== undefined) this.keptS = keptS;
    if (wanted !== undefined) this.wanted = wanted;
    if (confidences !== undefined) this.confidences = confidences;
    this.repaint();
  }

  get shift() { return this.primer.length ? this.primerS : 0; }

  get seconds() {
    let end = 0;
    for (const note of this.notes) end = Math.max(end, note[2]);
    return this.shift + Math.max(end, this.wanted, 1);
  }

  describe() {
    if (!this.notes.length) return "Piano roll without notes yet";
    let low = 127, high = 0;
    for (const note of this.notes) { low = Math.min(low, note[1]); high = Math.max(high, note[1]); }
    const seconds = this.seconds - this.shift;
    const rate = (this.notes.length / seconds).toFixed(1);
    return `Piano roll: ${plural(this.notes.length, "note")} in ${clock(seconds)}, from ${pitchName(low)} to ${pitchName(high)}, ${rate} a second`;
  }

  scale() {
    const width = this.canvas.clientWidth;
    return this.options.perSecond ? Math.max(this.options.perSecond, width / this.seconds) : width / this.seconds;
  }

  range() {
    let low = 127, high = 0;
    for (const list of [this.notes, this.primer]) for (const note of list) { low = Math.min(low, note[1]); high = Math.max(high, note[1]); }
    if (low > high) return [40, 80];
    const middle = (low + high) / 2, half = Math.max(14, (high - low) / 2 + 2);
    return [Math.floor(middle - half), Math.ceil(middle + half)];
  }

  repaint() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.paint(); });
  }

  paint() {
    const ratio = sharpen(this.canvas, this.paper);
    if (!ratio) return;
    this.ratio = ratio;
    this.canvas.setAttribute("aria-label", this.describe());
    this.paintNotes();
    this.frame();
  }

  paintNotes() {
    const pen = this.paper.getContext("2d");
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const scale = this.scale();
    const [low, high] = this.range();
    const row = height / (high - low + 1);
    pen.fillStyle = colour("--line");
    for (let pitch = Math.ceil(low / 12) * 12; pitch <= high; pitch += 12) pen.fillRect(0, Math.round(height - (pitch - low) * row), width, 1);
    const from = this.scroll / scale, to = from + width / scale;
    const tall = Math.max(2, Math.min(9, row * 0.86));
    const draw = (note, begin) => {
      const x = (note[0] + begin) * scale - this.scroll;
      pen.fillRect(x, height - (note[1] - low + 0.5) * row - tall / 2, Math.max(1.5, (note[2] - note[0]) * scale - 0.5), tall);
    };
    pen.fillStyle = colour("--second");
    for (const note of this.primer) if (note[2] >= from && note[0] <= to) { pen.globalAlpha = Math.min(1, 0.5 + note[3] / 220); draw(note, 0); }
    const main = colour("--accent"), unsure = colour("--unsure"), kept = colour("--muted");
    this.notes.forEach((note, index) => {
      const begin = this.shift;
      if (note[2] + begin < from || note[0] + begin > to) return;
      const sure = this.confidences ? this.confidences[index] : null;
      pen.fillStyle = sure !== null && sure < 0.5 ? unsure : note[0] < this.keptS ? kept : main;
      pen.globalAlpha = sure !== null ? 0.35 + 0.65 * sure : Math.min(1, 0.5 + note[3] / 190);
      draw(note, begin);
    });
    pen.globalAlpha = 1;
    const cut = (at) => { pen.fillStyle = colour("--muted"); pen.fillRect(at * scale - this.scroll, 0, 1, height); };
    if (this.shift) cut(this.shift);
    if (this.keptS) cut(this.shift + this.keptS);
  }

  frame() {
    const pen = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    const style = getComputedStyle(this.canvas);
    if (this.options.perSecond) this.follow();
    pen.clearRect(0, 0, width, height);
    const scale = this.scale() * this.ratio, scroll = this.scroll * this.ratio;
    if (this.selection) {
      pen.fillStyle = style.getPropertyValue("--select");
      const [begin, end] = this.selection;
      pen.fillRect(begin * scale - scroll, 0, Math.max(2, (end - begin) * scale), height);
    }
    pen.drawImage(this.paper, 0, 0);
    if (this.playhead !== null) {
      pen.fillStyle = style.getPropertyValue("--ink");
      pen.fillRect(Math.round((this.playhead + this.shift) * scale - scroll), 0, Math.max(1, this.ratio * 1.5), height);
    }
  }

  // Turns the page when the playhead leaves it.
  follow() {
    const width = this.canvas.clientWidth, scale = this.scale();
    const most = Math.max(0, this.seconds * scale - width);
    const at = ((this.playhead ?? 0) + this.shift) * scale;
    const to = Math.min(most, Math.max(0, at - width * 0.35));
    if (this.playhead !== null && Math.abs(to - this.scroll) >= 1) { this.scroll = to; this.paintNotes(); }
  }

  setPlayhead(seconds) {
    if (seconds === this.playhead) return;
    this.playhead = seconds;
    if (!this.pending && this.ratio) this.frame();
  }

  timeAt(event) {
    const box = this.canvas.getBoundingClientRect();
    return (event.clientX - box.left + this.scroll) / this.scale();
  }

  noteAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const [low, high] = this.range();
    const pitch = low + Math.floor((box.bottom - event.clientY) / box.height * (high - low + 1));
    const at = this.timeAt(event) - this.shift;
    const near = 4 / this.scale();
    return this.notes.find((note) => Math.abs(note[1] - pitch) <= 0.5 && note[0] - near <= at && note[2] + near >= at);
  }

  press(event) {
    if (event.button) return;
    const note = this.options.note && this.noteAt(event);
    if (note) { this.options.note(note); return; }
    const from = this.timeAt(event);
    if (!this.options.select) { this.options.seek && this.options.seek(Math.max(0, from - this.shift)); return; }
    this.canvas.setPointerCapture(event.pointerId);
    let moved = false;
    const move = (moving) => {
      const to = this.timeAt(moving);
      if (Math.abs(to - from) * this.scale() > 4) moved = true;
      if (moved) { this.selection = [Math.max(0, Math.min(from, to)), Math.max(from, to)]; this.frame(); }
    };
    const up = () => {
      this.canvas.removeEventListener("pointermove", move);
      if (moved) this.options.select(...this.selection);
      else { this.options.seek && this.options.seek(from); }
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", up, { once: true });
  }

  select(begin, end) {
    this.selection = begin === null ? null : [begin, end];
    if (this.ratio) this.frame();
  }
}
