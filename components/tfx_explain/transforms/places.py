"""Whether all processes of a run see the files that it reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from tfx_explain import storage
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.filesystems import MEMORY
from tfx_explain.transforms.portable_runners import has_files_of_this_machine, runner_name
from tfx_explain.transforms.runner import is_local


def check_places(args: Sequence[str], uris: Iterable[str | None]) -> None:
    """Refuses files where other processes are to read or write them, and cannot.

    Args:
      args: Beam's, as `pipeline_args` gives them.
      uris: of all that is read or written.

    Raises:
      InputError: some are in the memory of this process.
      ConfigError: some are on this machine, and workers may be on others.
    """
    in_processes = PipelineOptions(list(args)).view_as(DirectOptions).direct_running_mode == "multi_processing"
    if is_local(args) and not in_processes:
        return
    given = [uri for uri in uris if uri is not None]
    in_memory = [uri for uri in given if storage.place(uri)[0] == MEMORY]
    if in_memory:
        raise InputError(
            f"{in_memory[0]} is in the memory of this process, which other processes do not see; run without Beam "
            "arguments, or use files or a bucket."
        )
    here = [uri for uri in given if storage.place(uri)[0] == "file"]
    if here and not is_local(args) and not has_files_of_this_machine(args):
        raise ConfigError(
            f"the workers of {runner_name(args)} may be on other machines, but {here[0]} is on this one; put it where "
            "all of them reach it, such as gs://, s3:// or hdfs://."
        )
