#!/usr/bin/env bash
# Train the transcriber on a machine with an accelerator that has no network, in one go or in several.
#
#   scripts/accelerator_train.sh --midi MIDI --out OUT [--wheels WHEELS] [--soundfonts "A.sf2 B.sf2"] [--resume PARTS] …
#
# Needed there: Python 3.12 or later with numpy, scipy, jax (or torch) for the accelerator. Everything else travels as
# wheels in the folder --wheels; fetch them beforehand, where there is a network, for that machine's Python:
#
#   python3 -m pip download --no-deps -d WHEELS --python-version 3.12 --only-binary=:all: \
#       --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
#       keras namex optree mido midirenderer mir_eval decorator importlib_resources six safetensors
#   python3 -m pip wheel --no-deps -w WHEELS pretty_midi
#
# The soundfont TimGM6mb lies inside the pretty_midi wheel and is used where --soundfonts names none. Takes are rendered
# on all cores while the training already runs. What comes back, in OUT: a checkpoint in parts of 15 MB (state.npz.NN,
# progress.json, setup.json), from which the next run goes on with --resume OUT; when the planned minutes are over, the
# best weights instead (best.npz.NN), from which `train_onsets_and_frames.py export --run OUT` makes a model folder.
set -euo pipefail

midi="" out="" wheels="" soundfonts="" resume="" python=python3
size=full planned=24 stop_after=8 hours=16 valid_hours=0.16 batch=32 rate=1e-3 precision=mixed_bfloat16
backend=jax work="" validate_every_s=150
usage() { sed -n '2,4p' "$0"; exit 2; }
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --midi) midi=$2 ;;                    # folder with manifest.csv
    --out) out=$2 ;;                      # folder that comes back
    --wheels) wheels=$2 ;;                # installed into a folder of their own
    --soundfonts) soundfonts=$2 ;;        # SF2 files, as one argument
    --resume) resume=$2 ;;                # OUT of the run before
    --python) python=$2 ;;
    --backend) backend=$2 ;;              # jax or torch
    --size) size=$2 ;;                    # full, small, tiny
    --planned_minutes) planned=$2 ;;      # of training, over all runs: the learning rate follows it
    --stop_after) stop_after=$2 ;;        # minutes of training in this run
    --hours) hours=$2 ;;                  # of rendered sound
    --valid_hours) valid_hours=$2 ;;
    --batch_size) batch=$2 ;;
    --l_r) rate=$2 ;;
    --precision) precision=$2 ;;          # float32, mixed_bfloat16, mixed_float16
    --validate_every_s) validate_every_s=$2 ;;
    --work) work=$2 ;;                    # scratch folder; a temporary one by default
    *) usage ;;
  esac
  shift 2
done
[ -n "$midi" ] && [ -n "$out" ] || usage

root=$(cd "$(dirname "$0")/.." && pwd)
work=${work:-$(mktemp -d)}
mkdir -p "$out" "$work/run"
export KERAS_BACKEND=$backend PYTHONUNBUFFERED=1 PYTHONPATH="$root/src:$root${PYTHONPATH:+:$PYTHONPATH}"
cores=$(nproc)

if [ -n "$wheels" ]; then
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$work/site" "$wheels"/*.whl
  export PYTHONPATH="$PYTHONPATH:$work/site"
fi
if [ -z "$soundfonts" ]; then
  soundfonts=$("$python" -c 'import ambient.sound.soundfont as s; print(s.find_soundfont())')
fi
train="$root/scripts/train_onsets_and_frames.py"

# Validation takes first, then training takes in the background, on all cores but one. Wearing takes needs ffmpeg.
KERAS_BACKEND=numpy nice -n 5 "$python" "$train" render --midi "$midi" --soundfonts $soundfonts --cache "$work/cache" \
  --hours "$hours" --valid_hours "$valid_hours" --degraded_share 0 --workers $((cores > 1 ? cores - 1 : 1)) >"$out/render.log" 2>&1 &
rendering=$!
trap 'kill $rendering 2>/dev/null || true' EXIT
enough=$([ "$size" = tiny ] && echo 1 || echo 60)
until [ "$(ls "$work/cache/train" 2>/dev/null | grep -c '\.mel\.npy$')" -ge "$enough" ]; do
  kill -0 $rendering 2>/dev/null || break # done already, or it failed and train will say that there are no takes
  sleep 1
done

[ -z "$resume" ] || cp "$resume"/state.npz.* "$resume/progress.json" "$work/run/"
"$python" "$train" train --cache "$work/cache" --run "$work/run" --size "$size" --minutes "$planned" \
  --stop_after "$stop_after" --batch_size "$batch" --l_r "$rate" --precision "$precision" \
  --workers $((cores / 4 > 1 ? cores / 4 : 1)) --validate_every_s "$validate_every_s" --resume --pack "$out" \
  2>&1 | tee "$out/train.log"

ls -l "$out"
