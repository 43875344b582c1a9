"""Which Beam runner a run uses when the caller leaves it open."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from tfx_explain.errors import ConfigError

_FN_API_RUNNER = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"


def pipeline_args(args: Sequence[str]) -> list[str]:
    """The Beam arguments with what makes a run on one machine sound.

    Without `--runner` the in-process FnApiRunner is named outright: Beam's own default first tries to download another
    runner for every pipeline. `--direct_num_workers` above 1 means processes, as the threads of one Python process add
    nothing.

    Raises:
      ConfigError: `--direct_running_mode=multi_threading`, which corrupts data in the supported versions of Beam.
    """
    chosen = list(args)
    direct = PipelineOptions(chosen).view_as(DirectOptions)
    if direct.direct_running_mode == "multi_threading":
        raise ConfigError(
            "the Beam argument --direct_running_mode=multi_threading corrupts data between stages; use "
            "multi_processing, or leave it out: TensorFlow uses all cores of one process by itself."
        )
    if not any(arg == "--runner" or arg.startswith("--runner=") for arg in chosen):
        chosen.append(f"--runner={_FN_API_RUNNER}")
        if direct.direct_num_workers > 1 and direct.direct_running_mode == "in_memory":
            chosen.append("--direct_running_mode=multi_processing")
    return chosen
