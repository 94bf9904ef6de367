// How loud a rendering is over time, over what it is made of: below the notes of a piece, on the same clock.
import { clock, h, sharpen } from "./dom.js";

const LOW_LUFS = -40, HIGH_LUFS = -6;

export class Loudness {
  // roll: of the piece; what is above and below one another is at the same moment
  constructor(roll) {
    this.roll = roll;
    this.found = null;
    this.now = null;
    this.paper = document.createElement("canvas");
    this.canvas = h("canvas", { class: "loudness", role: "img", "aria-label": "Loudness and spectrum, once it has been played" });
    this.words = h("span", { class: "about" });
    this.element = h("div", { class: "loudness-box", hidden: true }, this.canvas, this.words);
    new ResizeObserver(() => this.paint()).observe(this.canvas);
    addEventListener("theme", () => this.paint());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  set(found, begins = 0) {
    this.found = found;
    this.begins = begins;
    this.element.hidden = !found;
    if (!found) return;
    const number = found.lufs === null ? "silent" : `${found.lufs.toFixed(1)} LUFS, peak ${found.peak_db.toFixed(1)} dB`;
    const [low, high] = [Math.min(...found.short_term), Math.max(...found.short_term)];
    this.words.textContent = `Loudness ${number}; the line, over three seconds, goes from ${low.toFixed(0)} to ${high.toFixed(0)} LUFS. Behind it the spectrum, 30 Hz to 16 kHz.`;
    this.canvas.setAttribute("aria-label", `Loudness over ${clock(found.seconds)}: ${number}, from ${low.toFixed(0)} to ${high.toFixed(0)} LUFS; spectrum behind it`);
    this.paint();
  }

  time(now) {
    if (now === this.now) return;
    this.now = now;
    this.frame();
  }

  paint() {
    const ratio = this.found ? sharpen(this.canvas, this.paper) : 0;
    if (!ratio) return;
    this.ratio = ratio;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const pen = this.paper.getContext("2d"), style = getComputedStyle(this.canvas);
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const { spectrum, short_term: line, step_s: step, seconds } = this.found;
    pen.fillStyle = style.getPropertyValue("--second");
    const wide = this.x(seconds) - this.x(0);
    spectrum.forEach((column, x) => {
      const tall = height / column.length;
      for (let row = 0; row < column.length; row++) {
        const level = parseInt(column[row], 16);
        if (!level) continue;
        pen.globalAlpha = 0.55 * (level / 15) ** 1.5;
        pen.fillRect(this.x(x / spectrum.length * seconds), height - (row + 1) * tall, wide / spectrum.length + 0.5, tall + 0.5);
      }
    });
    pen.globalAlpha = 1;
    pen.strokeStyle = style.getPropertyValue("--accent");
    pen.lineWidth = 2;
    pen.beginPath();
    line.forEach((lufs, index) => {
      const x = this.x(index * step), share = Math.max(0, Math.min(1, (lufs - LOW_LUFS) / (HIGH_LUFS - LOW_LUFS)));
      const y = 2 + (1 - share) * (height - 4);
      index ? pen.lineTo(x, y) : pen.moveTo(x, y);
    });
    pen.stroke();
    this.frame();
  }

  // Where a moment of the rendering is, from the left.
  x(at) { return (at + this.begins + this.roll.shift) / this.roll.seconds * this.canvas.clientWidth; }

  frame() {
    if (!this.ratio || !this.found) return;
    const pen = this.canvas.getContext("2d"), { width, height } = this.canvas;
    pen.clearRect(0, 0, width, height);
    pen.drawImage(this.paper, 0, 0);
    if (this.now === null) return;
    pen.fillStyle = getComputedStyle(this.canvas).getPropertyValue("--ink");
    pen.fillRect(this.x(this.now - this.begins) * this.ratio, 0, 1.5 * this.ratio, height);
  }
}
