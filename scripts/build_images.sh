#!/usr/bin/env bash
# Builds the images of dockerfiles/ under the names that pipelines/*.json have: IMAGE_PREFIX/NAME:IMAGE_TAG.
#
# Settings are variables:
#   ENGINE        the program that builds, called as `ENGINE build --tag … --file … .` (docker, or podman where docker
#                 does not answer)
#   BASE_IMAGE    what the images stand on (python:3.11-slim); another one needs Python 3.11 with pip, and useradd
#   IMAGE_PREFIX  what stands before /NAME (ambient-music-generation)
#   IMAGE_TAG     what stands behind it (the version in pyproject.toml)
#   IMAGES        which images (all four)
#   GPU           1: build music-transformer a second time, with TensorFlow's CUDA build, as IMAGE_TAG-gpu
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${IMAGE_PREFIX:-ambient-music-generation}
tag=${IMAGE_TAG:-$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)}
images=${IMAGES:-audio generate music-transformer onsets-and-frames}
wanted=${ENGINE:-${LOCALPACH_ENGINE:-}}

for engine in ${wanted:-docker podman}; do
  if "$engine" version >/dev/null 2>&1; then break; fi
  engine=
done
if [ -z "$engine" ]; then
  echo "error: ${wanted:-docker and podman} cannot be used; expected one that answers \`version\`. Install or start one, or name it with ENGINE=" >&2
  exit 1
fi
base=()
if [ -n "${BASE_IMAGE:-}" ]; then base=(--build-arg "BASE=$BASE_IMAGE"); fi
build() { "$engine" build --tag "$1" "${@:2}" ${base[@]+"${base[@]}"} .; }

for image in $images; do
  build "$prefix/$image:$tag" --file "dockerfiles/$image.Dockerfile"
done
if [ "${GPU:-}" = 1 ]; then
  build "$prefix/music-transformer:$tag-gpu" --file dockerfiles/music-transformer.Dockerfile --build-arg GROUP=gpu
fi
