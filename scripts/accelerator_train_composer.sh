#!/usr/bin/env bash
# Train the composer on a machine with an accelerator that has no network, in one go or in several.
#
#   scripts/accelerator_train_composer.sh --midi MIDI --out OUT [--work WORK] [--wheels WHEELS] [--resume OUT_BEFORE] …
#
# Needed there: Python 3.11 or later with numpy and jax for the accelerator; no TensorFlow. The rest travels as wheels in
# the folder --wheels, as scripts/accelerator_train.sh says. MIDI is a folder with manifest.csv. To save the time of
# reading it there, make the token files beforehand (scripts/train_music_transformer.py makes WORK/records first) and
# take WORK along.
#
# What comes back, in OUT, in parts of 15 MB: model.tar.NN, the model folder; with --keep_checkpoint also
# checkpoint.npz.NN, from which the next run goes on. Put together by
#
#   cat OUT/model.tar.* | tar -x -C trained-models
set -euo pipefail

midi="" out="" work="" wheels="" resume="" keep_checkpoint="" python=python3
size=base minutes=8 backend=jax train_flags=""
usage() { sed -n '2,4p' "$0"; exit 2; }
while [ $# -gt 0 ]; do
  if [ "$1" = --keep_checkpoint ]; then keep_checkpoint=yes; shift; continue; fi
  [ $# -ge 2 ] || usage
  case $1 in
    --midi) midi=$2 ;;               # folder with manifest.csv
    --out) out=$2 ;;                 # folder that comes back
    --work) work=$2 ;;               # scratch folder, with token files if they are there; a temporary one by default
    --wheels) wheels=$2 ;;           # installed into a folder of their own
    --resume) resume=$2 ;;           # OUT of the run before
    --python) python=$2 ;;
    --backend) backend=$2 ;;         # jax, or torch
    --size) size=$2 ;;               # base, large, …
    --minutes) minutes=$2 ;;         # of training, over all runs: the learning rate follows it
    --train_flags) train_flags=$2 ;; # more flags of stages.train, as one argument
    *) usage ;;
  esac
  shift 2
done
[ -n "$midi" ] && [ -n "$out" ] || usage

root=$(cd "$(dirname "$0")/.." && pwd)
work=${work:-$(mktemp -d)}
mkdir -p "$out" "$work/run"
export KERAS_BACKEND=$backend PYTHONUNBUFFERED=1 PYTHONPATH="$root/src:$root${PYTHONPATH:+:$PYTHONPATH}"
if [ -n "$wheels" ]; then
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$work/site" "$wheels"/*.whl
  export PYTHONPATH="$PYTHONPATH:$work/site"
fi
[ -z "$resume" ] || cat "$resume"/checkpoint.npz.* >"$work/run/checkpoint.npz"

"$python" "$root/scripts/train_music_transformer.py" "$midi" --work "$work" --save_path "$work/music-transformer" \
  --accelerator --size "$size" --minutes "$minutes" ${train_flags:+--train_flags="$train_flags"} 2>&1 | tee "$out/train.log"

tar -C "$work" -c music-transformer | split -b 15m -d - "$out/model.tar."
[ -z "$keep_checkpoint" ] || split -b 15m -d "$work/run/checkpoint.npz" "$out/checkpoint.npz."
ls -l "$out"
