# transcribe: TensorFlow and the shipped transcriber.
# --build-arg GROUP=gpu takes TensorFlow's CUDA build.
FROM python:3.11-slim
ARG GROUP=onsets-and-frames
LABEL org.opencontainers.image.title="ambient-music-generation onsets-and-frames" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY requirements/${GROUP}.lock requirements/
RUN pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements/${GROUP}.lock
COPY trained-models/onsets-and-frames trained-models/onsets-and-frames
COPY src src
COPY stages stages
ENV PYTHONPATH=/app:/app/src PYTHONDONTWRITEBYTECODE=1
RUN useradd --create-home --uid 1000 ambient
USER ambient
