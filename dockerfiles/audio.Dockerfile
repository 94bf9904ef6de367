# rename, to_wav and render: ffmpeg and a soundfont (both inside Python packages), no TensorFlow.
FROM python:3.11-slim
LABEL org.opencontainers.image.title="ambient-music-generation audio" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY requirements/audio.lock requirements/
RUN pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements/audio.lock
COPY src src
COPY stages stages
ENV PYTHONPATH=/app:/app/src PYTHONDONTWRITEBYTECODE=1
RUN useradd --create-home --uid 1000 ambient
USER ambient
