# preprocess and train: TensorFlow and the shipped base model.
# --build-arg GROUP=gpu takes TensorFlow's CUDA build; `make images GPU=1` tags music-transformer's as VERSION-gpu.
ARG BASE=python:3.11-slim
FROM scratch AS lock
ARG GROUP=music-transformer
COPY requirements/${GROUP}.lock requirements.lock

FROM ${BASE} AS packages
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
COPY --from=lock requirements.lock requirements.lock
# Headers, libclang and symbols serve those who build with TensorFlow: 550 MB. Compiled Python stays: it halves the start.
RUN python3 -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements.lock \
 && cd /opt/venv/lib/python3*/site-packages \
 && rm -r tensorflow/include clang \
 && find . -depth \( -type d -name tests -o -name '*.pyi' \) -exec rm -r {} + \
 && strip --strip-unneeded tensorflow/libtensorflow_*.so.2

FROM ${BASE}
RUN useradd --create-home --uid 1000 ambient
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY trained-models/music-transformer trained-models/music-transformer
COPY src/ambient src/ambient
COPY stages stages
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app:/app/src PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="ambient-music-generation music-transformer" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 1000
