"""Which Beam runner a run uses when the caller leaves it open, and what cannot work with the one that is named."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
from collections.abc import Sequence
from typing import TypeVar, cast

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, GoogleCloudOptions, PipelineOptions, TestOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator

from tfx_explain.errors import ConfigError
from tfx_explain.optional import optional
from tfx_explain.transforms.portable_runners import (
    PORTABLE_RUNNERS,
    check_portable,
    names_option,
    runner_name,
    whole_job,
)

_FN_API_RUNNER = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
_PROCESS_RUNNER = "tfx_explain.transforms.process_runner.ProcessRunner"
_Options = TypeVar("_Options", bound=PipelineOptions)
_DATAFLOW = "DataflowRunner"
_DATAFLOW_MODULE = "apache_beam.runners.dataflow.dataflow_runner"
_DRY_RUN = "dry_run"
_ALIKE = 0.85  # of difflib's ratio: one letter in seven is another one
_LOCAL = {"DirectRunner", "SwitchingDirectRunner", "FnApiRunner", "ProcessRunner"}


def pipeline_args(args: Sequence[str]) -> list[str]:
    """The Beam arguments with what makes a run sound.

    Without `--runner` the in-process FnApiRunner is named outright: Beam's own default first tries to download another
    runner for every pipeline. `--direct_num_workers` other than 1 means processes, as the threads of one Python process
    add nothing; whatever local runner is named, they are those of ProcessRunner.

    Raises:
      ConfigError: Beam cannot read them, or use them together; a runner of this machine would ignore a misspelt one;
        `--direct_running_mode=multi_threading`, which corrupts data in the supported versions of Beam; arguments of
        portable runners where none is named.
    """
    chosen = list(args)
    options = PipelineOptions(chosen)
    _check_arguments(options, chosen)
    direct = options.view_as(DirectOptions)
    if direct.direct_running_mode == "multi_threading":
        raise ConfigError(
            "the Beam argument --direct_running_mode=multi_threading corrupts data between stages; use "
            "multi_processing, or leave it out: TensorFlow uses all cores of one process by itself."
        )
    is_open = not names_option("runner", chosen)
    in_processes = direct.direct_running_mode == "multi_processing"
    if is_open and direct.direct_num_workers != 1 and not in_processes:
        chosen.append("--direct_running_mode=multi_processing")
        in_processes = True
    name = "DirectRunner" if is_open else runner_name(chosen)
    check_portable(name, chosen)
    _check_together(name, chosen)
    if not is_local(chosen) and name in PORTABLE_RUNNERS:
        chosen += whole_job(chosen)
    if in_processes and is_local(chosen):
        chosen.append(f"--runner={_PROCESS_RUNNER}")
    elif is_open:
        chosen.append(f"--runner={_FN_API_RUNNER}")
    return chosen


class _RememberedViews(PipelineOptions):
    """Options each view of which is made once.

    Views share what they show. Beam asks for one at each step of a pipeline that it puts together, and has a parser of
    arguments made each time.
    """

    def view_as(self, cls: type[_Options]) -> _Options:
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return cast(_Options, views[cls])


def new_pipeline(args: Sequence[str]) -> beam.Pipeline:
    """A pipeline that runs as Beam arguments say, which `pipeline_args` has seen."""
    return beam.Pipeline(options=_RememberedViews(list(args)))


def _check_arguments(options: PipelineOptions, args: Sequence[str]) -> None:
    """Beam's parser prints what is wrong, and ends the program; what it does not know it ignores."""
    said, parsers = io.StringIO(), list[argparse.ArgumentParser]()
    try:
        with contextlib.redirect_stderr(said):
            options.get_all_options(add_extra_args_fn=parsers.append)
    except SystemExit as ended:
        what = said.getvalue().strip().rpartition("error: ")[2]
        raise ConfigError(f"Apache Beam cannot read its arguments: {what}.") from ended
    # Other runners have arguments that are known once they are imported, or their job server is asked.
    if is_local(args):
        _refuse_misspelt(parsers[0], args)


def _refuse_misspelt(parser: argparse.ArgumentParser, args: Sequence[str]) -> None:
    known = [option for action in parser._actions for option in action.option_strings]
    _, unknown = parser.parse_known_args(list(args))
    for arg in unknown:
        name = arg.partition("=")[0]
        near = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE) if name.startswith("-") else []
        if near:
            raise ConfigError(f"Apache Beam has no argument {name} and would ignore it; did you mean {near[0]}?")


def _check_together(name: str, args: Sequence[str]) -> None:
    """Asks Beam what it would find when the pipeline is made, without the network that it asks for Dataflow."""
    if PipelineOptions(list(args)).view_as(TestOptions).dry_run and name != _DATAFLOW:
        raise ConfigError(f"the Beam argument --{_DRY_RUN} is for {_DATAFLOW}, and {name} ignores it; leave it out.")
    options = _RememberedViews([*args, f"--{_DRY_RUN}=True"])
    runner = None
    if name == _DATAFLOW:
        runner = optional(_DATAFLOW_MODULE, "Dataflow needs", "apache-beam[gcp]").DataflowRunner()
    validator = PipelineOptionsValidator(options, runner)
    google = options.view_as(GoogleCloudOptions)
    # Where neither is usable Beam would make a bucket.
    places = [validator.validate_gcs_path(google, option) for option in ("temp_location", "staging_location")]
    errors = places[0] if runner is not None and all(places) else validator.validate()
    if errors:
        raise ConfigError(f"Apache Beam cannot use its arguments: {'; '.join(error.rstrip('.') for error in errors)}.")


def check_ran(pipeline: beam.Pipeline) -> None:
    """Tells a job that has run from one that was only put together.

    Raises:
      ConfigError: `--dry_run` asked for that.
    """
    if pipeline.options.view_as(TestOptions).dry_run:
        raise ConfigError(
            f"--{_DRY_RUN} has put the job together for {_DATAFLOW}, which takes it; nothing was run or written: leave "
            "it out to run the job."
        )


def is_local(args: Sequence[str]) -> bool:
    """Whether the runner that Beam arguments name, if they do, works on this machine, and reads its disk."""
    return not names_option("runner", args) or runner_name(args) in _LOCAL
