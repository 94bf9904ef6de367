# generate: numpy and the shipped composer, no TensorFlow.
FROM python:3.11-slim
LABEL org.opencontainers.image.title="ambient-music-generation generate" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY requirements/generate.lock requirements/
RUN pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements/generate.lock
COPY trained-models/music-transformer trained-models/music-transformer
COPY src src
COPY stages stages
# `docker run --entrypoint python IMAGE generate.py …`, the command of the 2020 project, keeps working.
RUN ln -s stages/generate.py generate.py
ENV PYTHONPATH=/app:/app/src PYTHONDONTWRITEBYTECODE=1
RUN useradd --create-home --uid 1000 ambient
USER ambient
