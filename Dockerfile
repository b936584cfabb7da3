# syntax=docker/dockerfile:1
# ExpertScope as one image for server and worker: runs as a user without a name, writes to /data and /tmp only, and holds
# neither compilers nor pip. docker-compose.yml shows how its parts work together.
#
#   docker build -t expertscope .                        torch for CPUs
#   docker build -t expertscope --build-arg TORCH=cu130  torch for NVIDIA GPUs, with CUDA inside

FROM python:3.11-slim-bookworm AS build
# The folder of PyTorch's wheel index: cpu, or a version of CUDA that it has.
ARG TORCH=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY constraints.txt ./
# torch alone comes from PyTorch's own index, so that no other name is ever looked up there.
RUN python -m venv --without-pip /opt/expertscope \
    && pip --python /opt/expertscope/bin/python install --no-deps --constraint constraints.txt \
       --index-url "https://download.pytorch.org/whl/${TORCH}" torch
COPY pyproject.toml README.md LICENSE ./
COPY analysis analysis
COPY backend backend
COPY app app
COPY static static
RUN pip --python /opt/expertscope/bin/python install --constraint constraints.txt .

FROM python:3.11-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ExpertScope" \
      org.opencontainers.image.description="Which experts of a Mixture-of-Experts language model carry its safety behaviour, and how sure one can be." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Pango draws report.pdf; its version is the base image's, whose security updates are wanted. What the base image brings to install Python packages with is of no use any more.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && python -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel \
    && groupadd --gid 10001 expertscope \
    && useradd --uid 10001 --gid expertscope --no-create-home --home-dir /tmp --shell /usr/sbin/nologin expertscope \
    && install --directory --owner expertscope --group expertscope --mode 0750 /data
COPY --from=build /opt/expertscope /opt/expertscope

# Models from the hub are kept with the data; fontconfig's cache is made anew where /tmp is.
ENV PATH=/opt/expertscope/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp XDG_CACHE_HOME=/tmp/cache HF_HOME=/data/huggingface \
    EXPERTSCOPE_DATA_DIR=/data EXPERTSCOPE_HOST=0.0.0.0 EXPERTSCOPE_LOG_JSON=true EXPERTSCOPE_ACCESS_LOG=true
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s --retries=3 CMD ["expertscope", "health"]
# Refuses to start until EXPERTSCOPE_ACCOUNTS=true: in a container it listens on a network.
CMD ["expertscope", "serve"]
