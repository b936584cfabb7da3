# torch brings CUDA along; started with the NVIDIA runtime (--gpus all), runs use the GPU.
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    EXPERTSCOPE_DATA_DIR=/data EXPERTSCOPE_HOST=0.0.0.0 EXPERTSCOPE_LOG_JSON=true
# Pango draws report.pdf.
RUN apt-get update && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/expertscope
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY analysis analysis
COPY backend backend
COPY app app
COPY static static
RUN pip install --constraint constraints.txt . \
    && useradd --create-home expertscope && mkdir /data && chown expertscope /data

USER expertscope
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
CMD ["expertscope", "serve"]
