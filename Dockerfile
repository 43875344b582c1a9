# One image for both: a Kubeflow or Vertex step, which gives its own command, and a Beam worker, which runs the entry point.
#   docker build -t REGISTRY/tfx-explain:0.1.0 .
# Pipelines whose Python modules are imported by class path need those copied in as well.
# Debian 13, since TFX 1.21 needs glibc >= 2.39. Python and Beam have to be the versions that submit the job.
ARG PYTHON=3.13
ARG BEAM=2.77.0
FROM apache/beam_python${PYTHON}_sdk:${BEAM} AS beam

FROM python:${PYTHON}-slim-trixie AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY requirements/tfx-1.21.txt /src/requirements/
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -r /src/requirements/tfx-1.21.txt
COPY setup.py pyproject.toml LICENSE README.md /src/
COPY components /src/components
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation /src

FROM python:${PYTHON}-slim-trixie
# LightGBM and XGBoost models need OpenMP.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/venv /opt/venv
COPY --from=beam /opt/apache/beam /opt/apache/beam
# RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT: Beam's boot must use this environment, not make an empty one.
ENV PATH=/opt/venv/bin:$PATH \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
ENTRYPOINT ["/opt/apache/beam/boot"]
