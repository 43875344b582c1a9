"""`tfx-explain estimate`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from tfx_explain.commands.exit_codes import DONE
from tfx_explain.commands.explain import job_options
from tfx_explain.commands.options import BEAM_ARGS, BeamCommand, common_options
from tfx_explain.commands.progress import shown_progress
from tfx_explain.commands.saying import say, say_json
from tfx_explain.progress import duration

if TYPE_CHECKING:
    from tfx_explain.transforms.trial import Forecast


@click.command(
    "estimate",
    cls=BeamCommand,
    short_help="Say what `explain` will take, before it runs.",
    epilog="Options of Apache Beam follow `--`. Memory is that of this process, without worker processes.",
)
@job_options
@common_options
@click.pass_context
def estimate(context: click.Context, /, *, as_json: bool, **job: Any) -> int:
    """Say how many model rows, how much time, memory and disk `explain` will take with the same options.

    Explains few rows several times, each time reading all examples. Leaves nothing behind.
    """
    from tfx_explain.commands.places import settings_of  # noqa: PLC0415 - see `validate._judged`

    settings = settings_of(job)
    from tfx_explain.api import estimate as run  # noqa: PLC0415 - loads TensorFlow and Beam

    starting = _seconds_since_start()
    with shown_progress(context.obj, trying=True):
        found = run(**{**job, "config": settings}, beam_args=context.meta[BEAM_ARGS])
    if as_json:
        say_json(_described(found, starting))
    else:
        say(*_lines(found, starting))
    return DONE


def _seconds_since_start() -> float:
    """How old this process is: what the start of the program took, which is part of each run of it."""
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), 0.0)


def _described(found: Forecast, starting: float) -> dict[str, Any]:
    return {
        "rows": dict(found.rows),
        "model_rows": found.model_rows,
        "model_rows_per_row": found.model_rows_per_row,
        "rows_per_second": found.rows_per_second,
        "seconds": (found.seconds or 0.0) + starting,
        "start_seconds": starting,
        "memory_bytes": found.memory_bytes,
        "output_bytes": found.output_bytes,
        "limits": found.limits,
    }


def _lines(found: Forecast, starting: float) -> list[str]:
    rows = ", ".join(f"{split} {n:,}" for split, n in found.rows.items())
    per_second = found.rows_per_second
    lines = [
        f"rows to explain: {rows}",
        f"model rows: about {found.model_rows:,} ({found.model_rows_per_row:,.0f} for each row)",
        f"time: about {duration((found.seconds or 0.0) + starting)}, {duration(starting)} of it to start"
        + (f"; {per_second:,.0f} rows/s once it explains" if per_second else ""),
        f"memory: about {_size(found.memory_bytes or 0)}",
        f"disk: about {_size(found.output_bytes or 0)}",
    ]
    cut: Any = (found.limits or {}).get("cut") or {}
    return lines + [
        f"cut to keep to the limits: {name} {change['used']} in place of {change['asked']}"
        for name, change in cut.items()
    ]


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.1f} MiB"
