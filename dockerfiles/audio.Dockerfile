# rename, to_wav and render: ffmpeg (inside a Python package) and a soundfont, no TensorFlow.
ARG BASE=python:3.11-slim
FROM ${BASE} AS packages
COPY requirements/audio.lock requirements.lock
RUN python3 -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements.lock \
 && find /opt/venv -depth \( -type d -name tests -o -name '*.a' -o -name '*.h' -o -name '*.pyi' \) -exec rm -r {} + \
 && ln -s "$(/opt/venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" /opt/venv/bin/ffmpeg

# Fluid (R3) General MIDI by Frank Wen, MIT licence: plays where `render` is asked for a program or a soundfont tone.
FROM ${BASE} AS soundfont
RUN apt-get update \
 && apt-get install --yes --no-install-recommends fluid-soundfont-gm \
 && echo "74594e8f4250680adf590507a306655a299935343583256f3b722c48a1bc1cb0  /usr/share/sounds/sf2/FluidR3_GM.sf2" \
  | sha256sum --check

FROM ${BASE}
RUN useradd --create-home --uid 1000 ambient
COPY --from=packages /opt/venv /opt/venv
COPY --from=soundfont /usr/share/sounds/sf2/FluidR3_GM.sf2 /usr/share/doc/fluid-soundfont-gm/copyright /opt/soundfont/
WORKDIR /app
COPY src/ambient src/ambient
COPY stages stages
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app:/app/src PYTHONDONTWRITEBYTECODE=1 AMBIENT_SOUNDFONT=/opt/soundfont/FluidR3_GM.sf2
LABEL org.opencontainers.image.title="ambient-music-generation audio" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 1000
