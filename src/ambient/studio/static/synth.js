// A soft instrument in the browser itself, so that music is heard while it is composed and a note when it is clicked.
// The finished sound comes from the presets of the server.

let context, out, analyser;
const voices = new Set();
const MOST_VOICES = 40;

export function audio() {
  if (context) return context;
  context = new AudioContext();
  analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  analyser.smoothingTimeConstant = 0.82;
  analyser.connect(context.destination);
  out = context.createGain();
  const room = context.createConvolver();
  room.buffer = roomResponse(3.2);
  const wet = context.createGain();
  wet.gain.value = 0.55;
  out.connect(analyser);
  out.connect(room).connect(wet).connect(analyser);
  return context;
}

export const getAnalyser = () => (audio(), analyser);
export function setVolume(value) { audio(); out.gain.value = value; }

function roomResponse(seconds) {
  const length = Math.floor(seconds * context.sampleRate);
  const buffer = context.createBuffer(2, length, context.sampleRate);
  for (let channel = 0; channel < 2; channel++) {
    const data = buffer.getChannelData(channel);
    let low = 0;
    for (let i = 0; i < length; i++) { // noise that falls by 60 dB and grows darker
      const t = i / length;
      low += (Math.random() * 2 - 1 - low) * (0.5 - 0.42 * t);
      data[i] = low * Math.exp(-6.9 * t) * 0.35;
    }
  }
  return buffer;
}

export function playNote([start, pitch, end, velocity], at = 0) {
  const now = audio().currentTime;
  const begin = Math.max(now, at || now);
  const loud = (velocity / 127) ** 1.6 * 0.16;
  const hertz = 440 * 2 ** ((pitch - 69) / 12);
  const gain = context.createGain();
  const filter = context.createBiquadFilter();
  filter.type = "lowpass";
  filter.frequency.setValueAtTime(Math.min(9000, hertz * (2 + velocity / 24)), begin);
  filter.frequency.exponentialRampToValueAtTime(Math.max(200, hertz * 1.6), begin + 2.5);
  const length = Math.max(0.08, end - start);
  gain.gain.setValueAtTime(0, begin);
  gain.gain.linearRampToValueAtTime(loud, begin + 0.012);
  gain.gain.setTargetAtTime(loud * 0.35, begin + 0.03, 1.1);
  gain.gain.setTargetAtTime(0, begin + length, 0.22);
  const stop = begin + length + 1.6;
  const oscillators = [["triangle", 1, 1], ["sine", 2, 0.22], ["sine", 3.01, 0.07]].map(([type, ratio, level]) => {
    const oscillator = context.createOscillator();
    const part = context.createGain();
    oscillator.type = type;
    oscillator.frequency.value = hertz * ratio;
    part.gain.value = level;
    oscillator.connect(part).connect(filter);
    oscillator.start(begin);
    oscillator.stop(stop);
    return oscillator;
  });
  filter.connect(gain).connect(out);
  const voice = { gain, oscillators };
  voices.add(voice);
  oscillators[0].addEventListener("ended", () => { voices.delete(voice); gain.disconnect(); });
  if (voices.size > MOST_VOICES) quieten([...voices][0]);
}

function quieten(voice) {
  voice.gain.gain.cancelScheduledValues(context.currentTime);
  voice.gain.gain.setTargetAtTime(0, context.currentTime, 0.05);
  for (const oscillator of voice.oscillators) oscillator.stop(context.currentTime + 0.4);
  voices.delete(voice);
}

export function silence() {
  for (const voice of [...voices]) quieten(voice);
}
