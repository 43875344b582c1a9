# Images with tfx-explain, TFX and TensorFlow; `make image` builds them with docker, podman or buildah.
#   step    a step of Kubeflow or Vertex, which gives its own command
#   worker  the same with Beam's boot as its entry point: a step, or a worker of Beam (the default)
# Pipelines whose Python modules are imported by class path need those copied in as well.
#
# Python, Beam and TFX have to be those that compile and submit the pipeline. For TFX 1.16:
#   --build-arg TFX=1.16 --build-arg PYTHON=3.10 --build-arg BEAM=2.74.0 --build-arg BASE=python:3.10-slim-bookworm
ARG TFX=1.21
ARG PYTHON=3.13
ARG BEAM=2.77.0
# Any Debian with Python and venv; TFX 1.21 needs glibc >= 2.39, which Debian 13 has.
ARG BASE=python:${PYTHON}-slim-trixie
ARG BEAM_BASE=apache/beam_python${PYTHON}_sdk:${BEAM}

FROM ${BASE} AS build
ARG TFX
# pyfarmhash comes as C++ source only; Debian's own Python needs python3-dev beside the compiler.
ARG BUILD_PACKAGES="g++ binutils"
RUN apt-get update && apt-get install -y --no-install-recommends ${BUILD_PACKAGES} && rm -rf /var/lib/apt/lists/*
# Of a mirror and its certificates, where there are some; nothing of them stays in the image.
ARG PIP_INDEX_URL=
ARG PIP_CERT=
COPY requirements/image-${TFX}.txt tools/install_locked tools/slim_site /src/
RUN --mount=type=cache,target=/var/cache/pip /src/install_locked /opt/venv /src/image-${TFX}.txt /var/cache/pip
RUN /src/slim_site /opt/venv /opt/tensorflow

FROM build AS package
COPY setup.py pyproject.toml LICENSE README.md /src/
COPY components /src/components
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation --prefix /opt/package /src

FROM ${BASE} AS step
# Models of LightGBM, XGBoost and scikit-learn need OpenMP.
ARG PACKAGES="libgomp1"
RUN apt-get update && apt-get install -y --no-install-recommends ${PACKAGES} && rm -rf /var/lib/apt/lists/* /var/cache/apt/* && \
    groupadd --gid 65532 nonroot && useradd --uid 65532 --gid 65532 --create-home nonroot
# What changes least comes first: a new version of this package is a small layer.
COPY --from=build /opt/tensorflow /opt/venv
COPY --from=build /opt/venv /opt/venv
COPY --from=package /opt/package /opt/venv
ENV PATH=/opt/venv/bin:$PATH
USER 65532:65532
WORKDIR /home/nonroot

FROM ${BEAM_BASE} AS beam

FROM step AS worker
COPY --from=beam /opt/apache/beam /opt/apache/beam
# Beam's boot must use this environment, not make an empty one.
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
ENTRYPOINT ["/opt/apache/beam/boot"]
