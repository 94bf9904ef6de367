# preprocess and train: TensorFlow and the shipped base model.
# --build-arg GROUP=gpu takes TensorFlow's CUDA build; tag that image 0.1.0-gpu.
FROM python:3.11-slim
ARG GROUP=music-transformer
LABEL org.opencontainers.image.title="ambient-music-generation music-transformer" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY requirements/${GROUP}.lock requirements/
RUN pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements/${GROUP}.lock
COPY trained-models/music-transformer trained-models/music-transformer
COPY src src
COPY stages stages
ENV PYTHONPATH=/app:/app/src PYTHONDONTWRITEBYTECODE=1
RUN useradd --create-home --uid 1000 ambient
USER ambient
