"""Which Beam runner a run uses when the caller leaves it open."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

from tfx_explain.errors import ConfigError

_FN_API_RUNNER = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
_PROCESS_RUNNER = "tfx_explain.transforms.process_runner.ProcessRunner"
_LOCAL = {"DirectRunner", "SwitchingDirectRunner", "FnApiRunner", "ProcessRunner"}


def pipeline_args(args: Sequence[str]) -> list[str]:
    """The Beam arguments with what makes a run on one machine sound.

    Without `--runner` the in-process FnApiRunner is named outright: Beam's own default first tries to download another
    runner for every pipeline. `--direct_num_workers` other than 1 means processes, as the threads of one Python process
    add nothing; whatever local runner is named, they are those of ProcessRunner.

    Raises:
      ConfigError: Beam cannot read them; or `--direct_running_mode=multi_threading`, which corrupts data in the
        supported versions of Beam.
    """
    chosen = list(args)
    options = PipelineOptions(chosen)
    _check_values(options)
    direct = options.view_as(DirectOptions)
    if direct.direct_running_mode == "multi_threading":
        raise ConfigError(
            "the Beam argument --direct_running_mode=multi_threading corrupts data between stages; use "
            "multi_processing, or leave it out: TensorFlow uses all cores of one process by itself."
        )
    is_open = _is_open(chosen)
    in_processes = direct.direct_running_mode == "multi_processing"
    if is_open and direct.direct_num_workers != 1 and not in_processes:
        chosen.append("--direct_running_mode=multi_processing")
        in_processes = True
    if in_processes and is_local(chosen):
        chosen.append(f"--runner={_PROCESS_RUNNER}")
    elif is_open:
        chosen.append(f"--runner={_FN_API_RUNNER}")
    return chosen


def _check_values(options: PipelineOptions) -> None:
    """Beam's parser prints what is wrong, and ends the program."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options.get_all_options()
    except SystemExit as ended:
        what = said.getvalue().strip().rpartition("error: ")[2]
        raise ConfigError(f"Apache Beam cannot read its arguments: {what}.") from ended


def is_local(args: Sequence[str]) -> bool:
    """Whether the runner that Beam arguments name, if they do, works on this machine, and reads its disk."""
    runner = str(PipelineOptions(list(args)).view_as(StandardOptions).runner)
    return _is_open(args) or runner.rpartition(".")[2] in _LOCAL


def _is_open(args: Sequence[str]) -> bool:
    return not any(arg == "--runner" or arg.startswith("--runner=") for arg in args)
