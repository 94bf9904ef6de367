// The newest state of everything, kept by server-sent events; the browser connects again by itself.

const listeners = new Map();
export const state = { flow: null, takes: null, sound: {}, answers: 0, connected: false };
export const growing = new Map(); // take -> rows, while it is composed

export function on(topic, run) {
  if (!listeners.has(topic)) listeners.set(topic, new Set());
  listeners.get(topic).add(run);
  return () => listeners.get(topic).delete(run);
}

function tell(topic, value) {
  for (const run of [...(listeners.get(topic) || [])]) run(value);
}

// How a rendering stands that was asked for: what came as an event counts unless it is of an earlier attempt.
export function standOf(answer) {
  const known = state.sound[answer.key];
  return answer.state === "rendering" && known && known.attempt >= answer.attempt ? known : answer;
}

export function connect() {
  const source = new EventSource("/api/events");
  source.addEventListener("open", () => { state.connected = true; tell("line", true); });
  source.addEventListener("error", () => { state.connected = false; tell("line", false); });
  for (const topic of ["flow", "takes", "sound", "answers"]) {
    source.addEventListener(topic, (event) => { state[topic] = JSON.parse(event.data); tell(topic, state[topic]); });
  }
  source.addEventListener("notes", (event) => {
    const { id, from, notes } = JSON.parse(event.data);
    const before = (growing.get(id) || []).slice(0, from);
    growing.set(id, before.concat(notes));
    tell("notes", id);
  });
}
