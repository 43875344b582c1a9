"""What the processes of a job spend their time on, told as counters of Beam, which reach the driver from any worker."""

from __future__ import annotations

import os
import socket

from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.runner import PipelineResult

from tfx_explain.timings import TIMINGS, Spent

_NAMESPACE = "tfx_explain"
_TIMES, _MICROSECONDS = "times", "microseconds"


def tell_timings() -> None:
    """Tells Beam what this process spent since this was last called; to be called where a step has an element."""
    process = _this_process()
    for what, spent in TIMINGS.take().items():
        Metrics.counter(_NAMESPACE, f"{process} {what} {_TIMES}").inc(spent.times)
        Metrics.counter(_NAMESPACE, f"{process} {what} {_MICROSECONDS}").inc(round(1e6 * spent.seconds))


def told_timings(result: PipelineResult) -> list[dict[str, Spent]]:
    """What each process spent: this one first, with what it did not tell Beam, then those that a runner started.

    Args:
      result: of the pipeline that has run.
    """
    found = {_this_process(): TIMINGS.take()}
    try:
        counters = result.metrics().query(MetricsFilter().with_namespace(_NAMESPACE))["counters"]
    except NotImplementedError:
        counters = []  # not every runner has them
    for counter in sorted(counters, key=lambda counter: counter.key.metric.name):
        process, what, unit = counter.key.metric.name.rsplit(" ", 2)
        spent = found.setdefault(process, {})
        before, n = spent.get(what, Spent()), counter.result or 0
        times, seconds = (n, 0.0) if unit == _TIMES else (0, n / 1e6)
        spent[what] = Spent(before.times + times, before.seconds + seconds)
    return list(found.values())


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
