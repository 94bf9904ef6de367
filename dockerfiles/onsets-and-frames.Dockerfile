# transcribe: onnxruntime and the shipped transcriber, no TensorFlow.
ARG BASE=python:3.11-slim
FROM ${BASE} AS packages
COPY requirements/onsets-and-frames.lock requirements.lock
# Of onnxruntime goes what serves other programs: the library for C, 35 MB, and tools that convert models, 10 MB.
RUN python3 -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements.lock \
 && find /opt/venv -depth \( -type d -name tests -o -name '*.a' -o -name '*.h' -o -name '*.pyi' \) -exec rm -r {} + \
 && cd /opt/venv/lib/python3*/site-packages/onnxruntime \
 && rm -r capi/libonnxruntime.so.* quantization tools transformers

FROM ${BASE}
RUN useradd --create-home --uid 1000 ambient
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY trained-models/onsets-and-frames trained-models/onsets-and-frames
COPY src/ambient src/ambient
COPY stages stages
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app:/app/src PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="ambient-music-generation onsets-and-frames" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 1000
