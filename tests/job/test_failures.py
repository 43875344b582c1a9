"""What a run that failed altogether has to say."""

from __future__ import annotations

import pytest

from tfx_explain.errors import WorkerError
from tfx_explain.job.failures import is_interrupt, raised_by_us


@pytest.mark.parametrize(
    "said",
    [
        "Traceback (most recent call last):\n  ...\nRuntimeError: Channel closed prematurely.\n",
        "Pipeline job-002 failed in state FAILED: bundle inst003 stage-001 failed: SDK worker disconnected",
    ],
)
def test_a_worker_that_another_runner_lost_is_told_in_a_sentence(said: str) -> None:
    told = raised_by_us(RuntimeError(said), ["/out"])
    assert isinstance(told, WorkerError)
    assert str(told).startswith("a worker of the Beam runner ended before the job was done")
    assert raised_by_us(RuntimeError("Pipeline job-002 failed"), ["/out"]) is None


def test_only_ctrl_c_is_an_interrupt() -> None:
    assert is_interrupt(KeyboardInterrupt())
    assert is_interrupt(RuntimeError("KeyboardInterrupt [while running 'Explain[eval]']"))
    assert not is_interrupt(RuntimeError("no KeyboardInterrupt [while running 'Explain[eval]']"))
