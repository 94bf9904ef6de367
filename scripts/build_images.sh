#!/usr/bin/env bash
# Builds the images of dockerfiles/ under the names that pipelines/*.json have: IMAGE_PREFIX/NAME:IMAGE_TAG.
#
# Docker does it, or podman where docker does not answer. Settings are variables:
#   IMAGE_PREFIX      what stands before /NAME (ambient-music-generation)
#   IMAGE_TAG         what stands behind it (the version in pyproject.toml)
#   IMAGES            which images (all four)
#   GPU               1: build music-transformer a second time, with TensorFlow's CUDA build, as IMAGE_TAG-gpu
#   LOCALPACH_ENGINE  the engine, by name
#   CONTAINER_LAB     a program for machines that reach no registry: `base NAME` makes a stand-in for a base image,
#                     `build CONTEXT TAG ARGUMENTS` builds, and podman runs what was built
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${IMAGE_PREFIX:-ambient-music-generation}
tag=${IMAGE_TAG:-$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)}
images=${IMAGES:-audio generate music-transformer onsets-and-frames}

if [ -n "${CONTAINER_LAB:-}" ]; then
  sed -n 's/^FROM \([^ ]*:[^ ]*\).*/\1/p' dockerfiles/*.Dockerfile | sort -u | while read -r base; do "$CONTAINER_LAB" base "$base" </dev/null; done
  build() { "$CONTAINER_LAB" build . "$@"; }
else
  for engine in ${LOCALPACH_ENGINE:-docker podman}; do
    if "$engine" version >/dev/null 2>&1; then break; fi
    engine=
  done
  if [ -z "$engine" ]; then
    echo "error: ${LOCALPACH_ENGINE:-docker and podman} cannot be used; expected one that answers \`version\`. Install or start one, or see CONTAINER_LAB in $0" >&2
    exit 1
  fi
  build() { "$engine" build --tag "$1" "${@:2}" .; }
fi

for image in $images; do
  build "$prefix/$image:$tag" --file "dockerfiles/$image.Dockerfile"
done
if [ "${GPU:-}" = 1 ]; then
  build "$prefix/music-transformer:$tag-gpu" --file dockerfiles/music-transformer.Dockerfile --build-arg GROUP=gpu
fi
