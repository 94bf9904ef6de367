// A wish over time, drawn with a finger: one lane a description, low words below, high words above.
import { h, sharpen } from "./dom.js";

const POINTS = 9;

export class Lane {
  // about: { id, low, high, hint }
  constructor(about, changed) {
    Object.assign(this, about);
    this.changed = changed;
    this.values = null; // null: as the primer is
    this.canvas = h("canvas", { class: "lane-paper" });
    this.number = h("output", {}, "as the primer");
    this.reset = h("button", { class: "quiet", disabled: true, "aria-label": `${about.low} or ${about.high}: as the primer`, title: "As the primer", onclick: () => this.set(null) }, "↺");
    this.slider = h("div", { class: "lane-slider", role: "slider", tabindex: 0, "aria-label": `${about.low} to ${about.high}`, "aria-valuemin": 0, "aria-valuemax": 100 }, this.canvas);
    this.element = h("div", { class: "lane", title: about.hint }, h("span", { class: "lane-words" }, h("span", {}, about.high), h("span", {}, about.low)), this.slider, h("span", { class: "lane-value" }, this.number, this.reset));
    this.slider.addEventListener("keydown", (event) => this.key(event));
    this.slider.addEventListener("pointerdown", (event) => this.press(event));
    this.slider.addEventListener("dblclick", () => this.set(null));
    new ResizeObserver(() => this.paint()).observe(this.canvas);
    addEventListener("theme", () => this.paint());
    this.tell();
  }

  set(values) {
    this.values = values;
    this.tell();
    this.paint();
    this.changed();
  }

  setFlat(value) { this.set(value === null ? null : Array(POINTS).fill(value)); }

  get isFlat() { return this.values && this.values.every((each) => each === this.values[0]); }

  // Points for the server; nothing where the primer decides.
  points(minutes) {
    if (!this.values) return undefined;
    if (this.isFlat) return [[0, this.values[0]]];
    return this.values.map((value, index) => [Number((index / (POINTS - 1) * minutes).toFixed(3)), value]);
  }

  tell() {
    const mean = this.values ? Math.round(this.values.reduce((sum, each) => sum + each, 0) / POINTS) : 50;
    const text = !this.values ? "as the primer" : this.isFlat ? `${mean} %` : `${Math.min(...this.values)}–${Math.max(...this.values)} %`;
    this.number.textContent = text;
    this.reset.disabled = !this.values;
    this.slider.setAttribute("aria-valuenow", mean);
    this.slider.setAttribute("aria-valuetext", this.values ? `${text} of the training music` : text);
    this.element.classList.toggle("set", Boolean(this.values));
  }

  key(event) {
    const step = { ArrowUp: 5, ArrowRight: 5, ArrowDown: -5, ArrowLeft: -5, PageUp: 20, PageDown: -20 }[event.key];
    if (event.key === "Delete" || event.key === "Backspace") this.set(null);
    else if (step) this.set((this.values || Array(POINTS).fill(50)).map((each) => Math.max(0, Math.min(100, each + step))));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  press(event) {
    this.slider.setPointerCapture(event.pointerId);
    const box = this.canvas.getBoundingClientRect();
    const at = (moving) => [
      Math.max(0, Math.min(POINTS - 1, Math.round((moving.clientX - box.left) / box.width * (POINTS - 1)))),
      Math.max(0, Math.min(100, Math.round(100 * (1 - (moving.clientY - box.top - 6) / (box.height - 12))))),
    ];
    const [first, height] = at(event);
    if (!this.values) this.values = Array(POINTS).fill(height); // the first touch sets all of it
    const startX = event.clientX;
    let before = first, isDrawing = false;
    const move = (moving) => {
      const [index, value] = at(moving);
      if (Math.abs(moving.clientX - startX) > 8) isDrawing = true;
      if (!isDrawing) { if (this.isFlat) this.values.fill(value); else this.values[index] = value; }
      else for (let i = Math.min(before, index); i <= Math.max(before, index); i++) this.values[i] = value;
      before = index;
      this.tell();
      this.paint();
    };
    if (!this.isFlat) this.values[first] = height;
    else if (this.values[0] !== height) this.values.fill(height);
    this.slider.addEventListener("pointermove", move);
    this.slider.addEventListener("pointerup", () => { this.slider.removeEventListener("pointermove", move); this.changed(); }, { once: true });
    this.tell();
    this.paint();
  }

  paint() {
    const ratio = sharpen(this.canvas);
    if (!ratio) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const values = this.values || Array(POINTS).fill(50);
    const x = (index) => 5 + index / (POINTS - 1) * (width - 10), y = (value) => 6 + (1 - value / 100) * (height - 12);
    pen.strokeStyle = style.getPropertyValue(this.values ? "--accent" : "--muted");
    pen.lineWidth = this.values ? 2 : 1;
    if (!this.values) pen.setLineDash([3, 4]);
    pen.beginPath();
    values.forEach((value, index) => (index ? pen.lineTo(x(index), y(value)) : pen.moveTo(x(index), y(value))));
    pen.stroke();
    if (!this.values) return;
    pen.globalAlpha = 0.14;
    pen.lineTo(x(POINTS - 1), height);
    pen.lineTo(x(0), height);
    pen.fillStyle = style.getPropertyValue("--accent");
    pen.fill();
    pen.globalAlpha = 1;
    if (!this.isFlat) values.forEach((value, index) => { pen.beginPath(); pen.arc(x(index), y(value), 2.5, 0, 7); pen.fill(); });
  }
}
