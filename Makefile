# `make demo` runs the main job, `make test` checks everything; both first build .venv/ with the TFX that fits the machine.
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help env demo demo-images demo-texts demo-monitoring test lint types layers wheel unit unit-numerics unit-rest docs format-page configuration-page conversion-page report-check fuzz portable-test shap-plots interop-test kfp-test kubeflow-test mysql-test image image-test test-tfx-latest test-without-avx512 lock
# The environment decides what is imported, not the caller's shell.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE VIRTUAL_ENV
# TensorFlow's greetings, twenty lines for each process, go unsaid; its errors do not.
export TF_CPP_MIN_LOG_LEVEL ?= 2

bin := .venv/bin
sources := $(wildcard components tests pipelines benchmarks setup.py docs/conf.py tools/*.py)
site := .cache/wheel/site
# Tests that know neither TensorFlow nor Beam nor TFX: they run once where a second TFX is tested as well.
numerics := tests/attribution tests/paths tests/regions tests/summary tests/judgement
heading = @printf '\n== %s\n'

help:  ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

env:  ## build .venv/: TFX 1.21 where glibc >= 2.39 and Python 3.11-3.13 are there, else TFX 1.16 on Python 3.10
	@tools/make_env

demo: env  ## train, explain, validate and push a model of loan approvals, and say where the report is
	@$(bin)/python pipelines/loan_approval/local_runner.py

demo-images: env  ## the same of a model that reads handwritten digits
	@$(bin)/python pipelines/digits/local_runner.py

demo-texts: env  ## the same of a model that judges film reviews
	@$(bin)/python pipelines/reviews/local_runner.py

demo-monitoring: env  ## ten spans for the model that `make demo` pushed; from the sixth on there is a recession
	@$(bin)/python pipelines/monitoring/local_runner.py

test: env  ## every check and test, against the built wheel; stops at the first that fails
	@$(MAKE) lint types layers wheel unit
	@printf '\nAll checks passed.\n'

lint: env
	$(heading) "Format and lint (ruff)"
	@$(bin)/ruff format --check --output-format=concise $(sources)
	@$(bin)/ruff check $(sources)

types: env
	$(heading) "Types (mypy --strict)"
	@$(bin)/mypy --strict components/tfx_explain

layers: env
	$(heading) "Layers (import-linter)"
	@$(bin)/lint-imports

wheel: env
	$(heading) "Wheel"
	@tools/make_wheel $(site)
	@TFX_EXPLAIN_SITE=$(CURDIR)/$(site) $(bin)/pytest tests/packaging

unit: env
	$(heading) "Tests, against the wheel (pytest)"
	@PYTHONPATH=$(CURDIR)/$(site) $(bin)/pytest --ignore=tests/packaging --durations=20 $(if $(without),$(without:%=--ignore=%))

unit-numerics: env
	$(heading) "Tests of pure numerics, against the wheel (pytest)"
	@PYTHONPATH=$(CURDIR)/$(site) $(bin)/pytest --durations=20 $(numerics)

unit-rest: env
	@$(MAKE) unit without="$(numerics)"

docs: env  ## the pages of docs/ as a site, in build/docs; stops at warnings and dead links
	@TF_CPP_MIN_LOG_LEVEL=3 PYTHONPATH=$(CURDIR)/components $(bin)/python -W ignore::FutureWarning -m sphinx --quiet --fail-on-warning --keep-going docs build/docs
	@printf 'Start at build/docs/index.html\n'

format-page: env  ## write docs/format.md from the descriptions of tables
	@PYTHONPATH=$(CURDIR)/components $(bin)/python tools/format_page.py

configuration-page: env  ## write docs/configuration.md from the descriptions and examples of keys
	@PYTHONPATH=$(CURDIR)/components $(bin)/python tools/configuration_page.py

conversion-page: env  ## write docs/conversion.md from the tables of other systems' keys
	@PYTHONPATH=$(CURDIR)/components $(bin)/python tools/conversion_page.py

report-check: env  ## open reports of all kinds of models in Chromium, wide, narrow and in print, with axe-core
	$(heading) "Reports in Chromium and axe-core"
	@PYTHONPATH=$(CURDIR)/components:$(CURDIR)/tests/support $(bin)/python tools/report_check.py $(kinds)

FUZZ_SEED ?= 0
FUZZ_SIZE ?= 1
FUZZ_ONLY ?=

fuzz: env  ## hostile records, configurations, explanations, names and files, killed workers; FUZZ_SEED=0 FUZZ_SIZE=1 FUZZ_ONLY=names:3
	$(heading) "Hostile input (seed $(FUZZ_SEED); what falls is kept in .cache/fuzz)"
	@PYTHONPATH=$(CURDIR)/components:$(CURDIR)/tests/support $(bin)/python -W ignore -m fuzzing --seed $(FUZZ_SEED) \
		--size $(FUZZ_SIZE) --only '$(FUZZ_ONLY)'

kfp-test: env  ## Kubeflow's local runner explains and judges, in an environment without TFX, .cache/kfp
	$(heading) "Components of Kubeflow Pipelines, without TFX (pytest)"
	@python=$$(tools/make_kfp_env)/bin/python && "$$python" -m pytest -o filterwarnings=default tests/kfp_component

interop-test: env  ## MLflow and ONNX Runtime with explanations, in the same environment
	$(heading) "Other tools, without TFX (pytest)"
	@python=$$(tools/make_kfp_env)/bin/python && "$$python" -m pytest -o filterwarnings=default tests/interop

shap-plots: env  ## shap's own plots of an explanation, with today's shap in an environment of its own (.cache/shap)
	@$(bin)/python benchmarks/shap_plots.py

PORTABLE_ROWS ?= 20000

portable-test: env  ## the bits of the in-process run from a portable runner: Prism, which Go builds, or JOB_ENDPOINT=host:port
	$(heading) "A portable runner (Beam)"
	@PYTHONPATH=$(CURDIR)/components:$(CURDIR)/tests/support:$(CURDIR)/pipelines $(bin)/python -W ignore -m portable --rows $(PORTABLE_ROWS)

kubeflow-test: env  ## the compiled loan pipeline on both backends of Kubeflow, each step in a process of its own
	$(heading) "Compiled pipelines, executed (pytest)"
	@for backend in vertex open_source; do PYTHONPATH=$(CURDIR)/components:$(CURDIR)/pipelines $(bin)/python -m loan_approval.kubeflow_runner \
		--image image --pipeline_root gs://bucket/root --backend $$backend --output .cache/jobs/$$backend.yaml \
		2>.cache/compile.log || { tail -n 3 .cache/compile.log; exit 1; }; done
	@"$$(tools/make_kfp_env)/bin/python" tools/load_jobs.py .cache/jobs/*.yaml
	@TFX_EXPLAIN_STEPS=processes PYTHONPATH=$(CURDIR)/components $(bin)/python -m pytest --durations=5 -v tests/pipelines/test_loan_compiled.py

mysql-test: env  ## `audit` against a real MySQL server, Debian's MariaDB, unpacked into .cache/mysql
	$(heading) "ML Metadata in a MySQL server (pytest)"
	@root=$$(tools/make_mysql) && TFX_EXPLAIN_MYSQL=$$root PYTHONPATH=$(CURDIR)/components $(bin)/python -m pytest -v tests/audit/test_mysql.py

image:  ## an image with docker, podman or buildah: NAME=tfx-explain TARGET=worker TFX=1.21 BASE=... BEAM_BASE=...
	@NAME=$(or $(NAME),tfx-explain) tools/make_image

image-test: env  ## size and layers of that image, and the compiled loan pipeline run in it
	@$(bin)/python tools/image_test.py $(or $(NAME),tfx-explain)

test-tfx-latest: env  ## `make test` with the latest TFX; where that takes a Debian 13 root, without what is the same with any
	@if [ "$$(tools/make_env --which)" = 1.21 ]; then $(MAKE) test; else \
		tools/in_trixie_root make types wheel unit without="$(numerics)"; fi

# Each library has a variable of its own, and NumPy 2 other names than NumPy 1. TensorFlow 2.16's XLA has none, and stops at
# flags that it does not know; so the root is entered without the local environment's Python in between.
avx2 := ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell
avx2_numpy1 := NPY_DISABLE_CPU_FEATURES="AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
avx2_numpy2 := NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" XLA_FLAGS=--xla_cpu_max_isa=AVX2

test-without-avx512: env  ## `make test` of both versions of TFX as without AVX-512, where TFX 1.16 is the local one
	@$(avx2) $(avx2_numpy1) $(MAKE) test
	@$(avx2) $(avx2_numpy2) tools/in_trixie_root make test without="$(numerics)"

lock: env  ## resolve both requirements/*.txt again
	@tools/make_lock
