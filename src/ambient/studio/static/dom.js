// Elements from words; text is always text, so that a name with markup is shown as it is written.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function clock(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–:––";
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function span(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export function plural(count, one, many = one + "s") {
  return `${count} ${count === 1 ? one : many}`;
}

// Gives a canvas, and others of its size, as many pixels as the screen has, up to two each way: how many, or 0 where it
// is not shown.
export function sharpen(canvas, ...others) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return 0;
  const ratio = Math.min(2, devicePixelRatio || 1);
  for (const each of [canvas, ...others]) {
    each.width = Math.round(width * ratio);
    each.height = Math.round(height * ratio);
  }
  return ratio;
}

const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
export const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

export function toast(text, { action, run, kind = "" } = {}) {
  const box = h("div", { class: `toast ${kind}` }, h("span", {}, text));
  if (action) {
    box.append(h("button", { onclick: () => { box.remove(); run(); } }, action));
  }
  box.append(h("button", { class: "quiet", "aria-label": "Close", onclick: () => box.remove() }, "×"));
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), kind === "bad" ? 15000 : 9000);
  return box;
}

// A dialog with a heading; resolves when it closes.
export function dialog(title, ...children) {
  const box = h("dialog", { "aria-label": title },
    h("header", {}, h("h2", {}, title), h("button", { class: "quiet", "aria-label": "Close", onclick: () => box.close() }, "×")),
    ...children);
  document.body.append(box);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  box.showModal();
  return box;
}
