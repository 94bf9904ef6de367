// The songs: heard, seen as notes, used for training or not, composed from.
import { attempt, get, post } from "../api.js";
import { clock, h, plural, sharpen, toast } from "../dom.js";
import { on, state } from "../live.js";
import * as player from "../player.js";
import { Roll } from "../roll.js";
import { setUndo } from "../undo.js";

export function show(place, [wanted]) {
  const head = h("div", { class: "head-row" }, h("h1", {}, "Songs"), h("span", { class: "about" }),
    h("button", { onclick: () => document.getElementById("pick").click() }, "Put in songs"));
  const list = h("ul", { class: "songs" });
  place.append(head, list);
  const rows = new Map();
  let open = wanted || null;

  const refresh = async () => {
    const songs = await attempt(() => get("/api/songs"));
    if (!songs) return;
    const used = songs.filter((song) => song.used).length;
    head.children[1].textContent = songs.length ? `${used} of ${songs.length} used for training` : "";
    for (const [id, row] of rows) if (!songs.some((song) => song.id === id)) { row.close(); row.element.remove(); rows.delete(id); }
    for (const [index, song] of songs.entries()) {
      let row = rows.get(song.id);
      if (!row) { row = rowOf(song, () => choose(song.id)); rows.set(song.id, row); }
      row.update(song);
      if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] || null);
    }
    list.hidden = !songs.length;
    if (!songs.length && !place.querySelector(".nothing")) {
      place.append(h("p", { class: "nothing" }, "No songs yet. Drop some anywhere on this page, or ", h("a", { href: "#/flow" }, "begin with the samples"), "."));
    } else if (songs.length) place.querySelector(".nothing")?.remove();
    if (open && rows.has(open)) rows.get(open).open();
  };
  const choose = (id) => {
    if (open && open !== id && rows.has(open)) rows.get(open).close();
    open = id;
    rows.get(id).open();
  };
  const onKey = (event) => {
    const all = [...list.children];
    const at = all.findIndex((element) => rows.get(open)?.element === element);
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.detail];
    if (step && all.length) {
      const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
      choose(next.dataset.id);
      next.querySelector("button").focus();
      next.scrollIntoView({ block: "nearest" });
      event.preventDefault();
    } else if (event.detail === "Enter" && open) { rows.get(open).play(); event.preventDefault(); }
  };
  place.addEventListener("key", onKey);
  refresh();
  let last = "";
  const stop = on("flow", (flow) => {
    const stamp = JSON.stringify(flow.nodes.slice(0, 4).map((node) => [node.files, node.job, node.done]));
    if (stamp !== last) { last = stamp; refresh(); }
  });
  const stopTime = player.onTime((key, time) => rows.forEach((row, id) => row.time(key === id ? time : null)));
  return () => { stop(); stopTime(); place.removeEventListener("key", onKey); };
}

function rowOf(first, choose) {
  let song = first;
  let roll = null;
  let selection = null;
  const wave = new Wave({
    seek: (share) => { start(share * (wave.seconds || song.seconds || 0)); },
    select: (begin, end) => select(begin, end),
  });
  const play = h("button", { class: "play small", onclick: () => { choose(); player.toggleSource(source()); } }, "▶");
  const name = h("button", { class: "song-name", "aria-expanded": "false", onclick: () => choose() }, song.name);
  const about = h("span", { class: "about" });
  const marks = h("span", { class: "marks" });
  const use = h("input", { type: "checkbox", role: "switch", onchange: () => attempt(async () => {
    const wanted = use.checked;
    await post(`/api/songs/${song.id}/use`, { used: wanted });
    setUndo(() => attempt(() => post(`/api/songs/${song.id}/use`, { used: !wanted })));
    toast(use.checked ? `${song.name} is used for training` : `${song.name} is set aside; its file stays here`);
  }) });
  const deck = h("div", { class: "deck", hidden: true });
  const element = h("li", { class: "song", "data-id": song.id }, play,
    h("div", { class: "song-head" }, name, about, marks), wave.canvas,
    h("label", { class: "switch" }, use, h("span", {}, "training")), deck);
  const source = () => ({ key: song.id, title: song.name, about: "recording", url: `/api/songs/${song.id}/audio`, fallback: `/api/songs/${song.id}/audio?plain=true` });
  const start = (at) => { choose(); if (player.key() === song.id) player.seek(at); else player.load(source(), { at }); };
  const compose = h("button", { class: "primary", disabled: true, onclick: () => {
    const [begin, end] = selection || [0, roll.seconds];
    location.hash = `#/compose/song/${song.id}/${begin.toFixed(2)}/${end.toFixed(2)}`;
  } }, "Compose from here");
  const from = h("input", { type: "number", min: 0, step: 0.1, "aria-label": "Passage begins, seconds" });
  const to = h("input", { type: "number", min: 0, step: 0.1, "aria-label": "Passage ends, seconds" });
  for (const field of [from, to]) field.addEventListener("change", () => { if (Number(to.value) > Number(from.value)) select(Number(from.value), Number(to.value)); });
  const select = (begin, end) => {
    selection = [begin, end];
    from.value = begin.toFixed(1);
    to.value = end.toFixed(1);
    compose.textContent = `Compose from ${clock(begin)}–${clock(end)}`;
    wave.select(begin, end);
    if (roll) roll.select(begin, end);
  };
  let loaded = null;

  return {
    element,
    play: () => player.toggleSource(source()),
    update(fresh) {
      const changed = !loaded || fresh.heard !== song.heard;
      song = fresh;
      use.checked = song.used;
      use.setAttribute("aria-label", `Use ${song.name} for training`);
      play.setAttribute("aria-label", `Play ${song.name}`);
      element.classList.toggle("aside", !song.used);
      about.textContent = song.heard ? `${clock(song.seconds)} · ${plural(song.notes, "note")}${song.confidence ? ` · ${Math.round(100 * song.confidence)} % sure` : ""}` : song.used ? "is being listened to" : "set aside before it was listened to";
      marks.replaceChildren(...song.unlike.map((word) => h("em", { title: "than most of your songs" }, word)), ...(song.twin ? [h("em", {}, `nearly the same as ${song.twin}`)] : []));
      if (changed) {
        loaded = true;
        get(`/api/songs/${song.id}/peaks`).then((found) => wave.set(found)).catch(() => {});
      }
    },
    async open() {
      name.setAttribute("aria-expanded", "true");
      element.classList.add("open");
      deck.hidden = false;
      if (!roll) {
        roll = new Roll({ perSecond: 60, seek: start, select, note: player.noteOnce });
        roll.canvas.classList.add("tall");
        const legend = h("span", { class: "about legend" }, h("i", { class: "sure" }), "sure", h("i", { class: "unsure" }), "unsure; click a note to hear it, drag to mark a passage");
        deck.append(roll.canvas, h("div", { class: "row passage" }, h("label", { class: "about" }, "from ", from, " s"), h("label", { class: "about" }, "to ", to, " s"), compose, legend));
      }
      const found = await attempt(() => get(`/api/songs/${song.id}/notes`));
      if (!found) return;
      roll.set({ notes: found.notes, confidences: found.confidences });
      compose.disabled = !found.notes.length;
      to.max = from.max = found.seconds || 0;
    },
    close() {
      name.setAttribute("aria-expanded", "false");
      element.classList.remove("open");
      deck.hidden = true;
    },
    time(time) {
      wave.time(time);
      play.textContent = time !== null && player.isPlaying(song.id) ? "❚❚" : "▶";
      if (roll && !deck.hidden) roll.setPlayhead(time);
    },
  };
}

class Wave {
  constructor(options) {
    this.options = options;
    this.peaks = [];
    this.seconds = 0;
    this.now = null;
    this.canvas = h("canvas", { class: "wave", role: "img", "aria-label": "Waveform" });
    new ResizeObserver(() => this.paint()).observe(this.canvas);
    addEventListener("theme", () => this.paint());
    this.canvas.addEventListener("pointerdown", (event) => {
      const from = this.share(event);
      let moved = false;
      this.canvas.setPointerCapture(event.pointerId);
      const move = (moving) => {
        const to = this.share(moving);
        if (Math.abs(to - from) > 0.008) { moved = true; this.options.select(Math.min(from, to) * this.seconds, Math.max(from, to) * this.seconds); }
      };
      this.canvas.addEventListener("pointermove", move);
      this.canvas.addEventListener("pointerup", () => { this.canvas.removeEventListener("pointermove", move); if (!moved) this.options.seek(from); }, { once: true });
    });
  }

  share(event) {
    const box = this.canvas.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  }

  set({ peaks, seconds }) {
    this.peaks = peaks;
    this.seconds = seconds || 0;
    this.canvas.setAttribute("aria-label", `Waveform of ${clock(seconds)}`);
    this.paint();
  }

  select(begin, end) { this.selection = [begin, end]; this.paint(); }

  time(now) {
    const before = this.now;
    this.now = now;
    if (before !== now) this.paint();
  }

  paint() {
    const ratio = sharpen(this.canvas);
    if (!ratio) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const played = this.now !== null && this.seconds ? this.now / this.seconds * width : 0;
    if (this.selection && this.seconds) {
      pen.fillStyle = style.getPropertyValue("--select");
      const [begin, end] = this.selection.map((each) => each / this.seconds * width);
      pen.fillRect(begin, 0, end - begin, height);
    }
    const bars = Math.floor(width / 3);
    for (let bar = 0; bar < bars; bar++) {
      const from = Math.floor(bar / bars * this.peaks.length), to = Math.max(from + 1, Math.floor((bar + 1) / bars * this.peaks.length));
      let peak = 0;
      for (let i = from; i < to; i++) peak = Math.max(peak, this.peaks[i] || 0);
      const tall = Math.max(1, peak ** 0.7 * (height - 4));
      pen.fillStyle = style.getPropertyValue(bar * 3 < played ? "--accent" : "--wave");
      pen.fillRect(bar * 3, (height - tall) / 2, 2, tall);
    }
  }
}
