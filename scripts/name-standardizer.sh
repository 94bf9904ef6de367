#!/usr/bin/env bash
# Gives the recordings of a local folder safe names and uploads them in one commit; the folder stays as it is.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: name-standardizer.sh [--localpach] FOLDER [REPO@BRANCH]

Give every recording below FOLDER a name that Pachyderm accepts (lower case, ASCII, no spaces, all different) and put
them all into REPO@BRANCH (default: audio-unprocessed@master) in one commit. FOLDER stays as it is. A recording of the
same name that is in the repo already is replaced. What cannot be read (a link to nothing) is named, the others arrive,
and the exit code is 1.

  --localpach   upload with localpach even where pachctl is installed
TEXT
}

fail() {
  echo "error: $1" >&2
  exit "${2:-1}"
}

wrong_usage() {
  usage >&2
  fail "$1" 2
}

client=""
operands=()
for argument in "$@"; do
  case "$argument" in
    -h | --help) usage; exit 0 ;;
    --localpach) client=localpach ;;
    -*) wrong_usage "$argument: unknown flag" ;;
    *) operands+=("$argument") ;;
  esac
done
((${#operands[@]} == 1 || ${#operands[@]} == 2)) || wrong_usage "expected a folder and perhaps REPO@BRANCH"
folder=${operands[0]}
target=${operands[1]:-audio-unprocessed@master}
[[ "$target" =~ ^[^@:]+@[^@:]+$ ]] || wrong_usage "$target: expected REPO@BRANCH"
[[ -d "$folder" ]] || fail "$folder: no such folder; expected a folder of recordings. Check the path"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$root/.venv/bin/python
[[ -x "$python" ]] || python=$(command -v python3) || fail "python3: not found; expected Python 3.11 or newer. Install it"
export PYTHONPATH="$root:$root/src${PYTHONPATH:+:$PYTHONPATH}"

if [[ -z "$client" ]]; then
  if command -v pachctl >/dev/null; then client=pachctl; else client=localpach; fi
fi
if [[ "$client" == pachctl ]]; then upload=(pachctl); else upload=("$python" -m localpach); fi

named=$(mktemp -d)
trap 'rm -rf "$named"' EXIT
code=0 # 1 where a recording cannot be passed on: it was named, and the others are put all the same
"$python" -m stages.rename --link --input "$folder" --output "$named" || code=$?
if ((code)) && [[ -z "$(ls -A "$named")" ]]; then exit "$code"; fi
[[ -n "$(ls -A "$named")" ]] || fail "$folder: 0 recordings; expected at least 1. Check that the files end like recordings (.mp3, .wav, …)"
"${upload[@]}" put file -r "$target:/" -f "$named"
echo "$(ls "$named" | wc -l | tr -d ' ') recordings are in $target"
exit "$code"
