// Which instrument plays what is rendered, the same in every view, remembered by the browser.
import { get } from "./api.js";

let chosen = localStorage.getItem("preset") || "auto";
let listed = null;
const listeners = new Set();

export const instrument = () => chosen;
export async function instruments() { return (listed ||= await get("/api/presets")); }
export const about = (id = chosen) => (listed || []).find((each) => each.id === id);
export function onInstrument(run) { listeners.add(run); return () => listeners.delete(run); }

export function choose(id) {
  chosen = id;
  localStorage.setItem("preset", id);
  for (const run of [...listeners]) run(id);
}
