"""Whether all processes of a run see the files that it reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from tfx_explain import storage
from tfx_explain.errors import InputError
from tfx_explain.filesystems import MEMORY
from tfx_explain.transforms.runner import is_local


def check_places(args: Sequence[str], uris: Iterable[str | None]) -> None:
    """Refuses files in memory where other processes are to read or write them.

    Args:
      args: Beam's, as `pipeline_args` gives them.
      uris: of all that is read or written.

    Raises:
      InputError: there are such files.
    """
    in_processes = PipelineOptions(list(args)).view_as(DirectOptions).direct_running_mode == "multi_processing"
    if is_local(args) and not in_processes:
        return
    in_memory = [uri for uri in uris if uri is not None and storage.place(uri)[0] == MEMORY]
    if in_memory:
        raise InputError(
            f"{in_memory[0]} is in the memory of this process, which other processes do not see; run without Beam "
            "arguments, or use files or a bucket."
        )
