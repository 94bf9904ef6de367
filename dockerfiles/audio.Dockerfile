# rename, to_wav and render: ffmpeg and a soundfont (both inside Python packages), no TensorFlow.
ARG BASE=python:3.11-slim
FROM ${BASE} AS packages
COPY requirements/audio.lock requirements.lock
RUN python3 -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements.lock \
 && find /opt/venv -depth \( -type d -name tests -o -name '*.a' -o -name '*.h' -o -name '*.pyi' \) -exec rm -r {} + \
 && ln -s "$(/opt/venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" /opt/venv/bin/ffmpeg

FROM ${BASE}
RUN useradd --create-home --uid 1000 ambient
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY src/ambient src/ambient
COPY stages stages
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app:/app/src PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="ambient-music-generation audio" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 1000
