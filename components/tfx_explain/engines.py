"""Apache Beam's arguments for the engines that a run can have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tfx_explain.errors import ConfigError

LONGEST_JOB_SECONDS = 10_000_000
"""Of `--job_server_timeout`, after which Beam breaks off a portable job, however well it goes: none takes so long."""


@dataclasses.dataclass(frozen=True)
class _Engine:
    """What one engine is told.

    Attributes:
      fixed: arguments that it always has.
      settings: name -> its Beam option.
      required: settings that it cannot do without.
      one_of: settings of which it needs exactly one.
    """

    fixed: tuple[str, ...] = ()
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()


_WORKERS = {"worker_pool": "environment_config", "image": "environment_config"}
"""Where a portable runner's workers are: one of `_ENVIRONMENTS` goes with each."""

_ENVIRONMENTS = {"worker_pool": "--environment_type=EXTERNAL", "image": "--environment_type=DOCKER"}

# Else TFX's executors send workers a package of TFX, which Beam's boot would install over that of the image. Beam asks
# no pool for an image: there the name is for TFX alone.
_IMAGE, _IMAGE_OF_POOL = "--sdk_container_image", "that-of-the-worker-pool"

_COUNTS = {"workers", "max_workers", "parallelism", "disk_size_gb"}

# TFX's own components would keep to Beam's default, five minutes.
_PORTABLE = ("--runner=PortableRunner", f"--job_server_timeout={LONGEST_JOB_SECONDS}")

_ENGINES = {
    "in_process": _Engine(),
    "processes": _Engine(
        ("--direct_running_mode=multi_processing",), {"workers": "direct_num_workers"}, required=("workers",)
    ),
    "prism": _Engine(
        _PORTABLE,
        {"job_endpoint": "job_endpoint", **_WORKERS},
        required=("job_endpoint",),
        one_of=tuple(_ENVIRONMENTS),
    ),
    "flink": _Engine(
        _PORTABLE,
        {"job_endpoint": "job_endpoint", "parallelism": "parallelism", **_WORKERS},
        required=("job_endpoint",),
        one_of=tuple(_ENVIRONMENTS),
    ),
    "spark": _Engine(
        _PORTABLE,
        {"job_endpoint": "job_endpoint", **_WORKERS},
        required=("job_endpoint",),
        one_of=tuple(_ENVIRONMENTS),
    ),
    "dataflow": _Engine(
        ("--runner=DataflowRunner", "--sdk_location=container"),
        {
            "project": "project",
            "region": "region",
            "temp_location": "temp_location",
            "image": "sdk_container_image",
            "workers": "num_workers",
            "max_workers": "max_num_workers",
            "machine_type": "machine_type",
            "disk_size_gb": "disk_size_gb",
            "service_account": "service_account_email",
            "job_name": "job_name",
        },
        required=("project", "region", "temp_location", "image"),
    ),
}


def beam_args(engine: str, **settings: str | int) -> list[str]:
    """Beam's arguments for an engine, for `explain` and for a component's `with_beam_pipeline_args`.

    - `in_process`: nothing to set.
    - `processes`: `workers`, processes on this machine.
    - `prism`, `flink`, `spark`: `job_endpoint`, the host:port of the job server, and `worker_pool` or `image`; Flink
      also has `parallelism`.
    - `dataflow`: `project`, `region`, `temp_location`, `image`; and `workers`, `max_workers`, `machine_type`,
      `disk_size_gb`, `service_account`, `job_name`.

    `worker_pool` is the host:port of Beam's worker pool, `image` a container image with this package and Beam's boot.

    Args:
      engine: one of these.
      settings: its own.

    Raises:
      ConfigError: there is no such engine or setting, one has no such value, or one that the engine needs is missing.

    Example:
      >>> beam_args("processes", workers=4)
      ['--direct_running_mode=multi_processing', '--direct_num_workers=4']
    """
    if engine not in _ENGINES:
        raise ConfigError(f"there is no engine `{engine}`; choose one of {', '.join(_ENGINES)}.")
    described = _ENGINES[engine]
    unknown = sorted(settings.keys() - described.settings.keys())
    if unknown:
        there = ", ".join(f"`{name}`" for name in described.settings) or "none"
        raise ConfigError(f"engine `{engine}` has no setting `{unknown[0]}`; its settings are {there}.")
    for name, value in settings.items():
        _check_setting(engine, name, value)
    missing = [name for name in described.required if name not in settings]
    if missing:
        raise ConfigError(f"engine `{engine}` needs `{missing[0]}`; give it.")
    chosen = [name for name in described.one_of if name in settings]
    if described.one_of and len(chosen) != 1:
        names = " or ".join(f"`{name}`" for name in described.one_of)
        raise ConfigError(f"engine `{engine}` needs {names}, and not both; they say where its workers are.")
    given = [f"--{option}={settings[name]}" for name, option in described.settings.items() if name in settings]
    if chosen:
        given.append(f"{_IMAGE}={settings.get('image', _IMAGE_OF_POOL)}")
    return [*described.fixed, *(_ENVIRONMENTS[name] for name in chosen), *given]


def _check_setting(engine: str, name: str, value: str | int) -> None:
    """Refuses what no engine takes; Beam itself says the rest, when a run begins."""
    if name in _COUNTS:
        least = 0 if engine == "processes" else 1  # Beam's 0 is one for each processor
        if not str(value).isdecimal() or int(value) < least:
            raise ConfigError(f"`{name}` of engine `{engine}` is a whole number, at least {least}; {value!r} is none.")
    elif not isinstance(value, str) or not value.strip():
        raise ConfigError(f"`{name}` of engine `{engine}` is a text that is not empty; {value!r} is none.")
