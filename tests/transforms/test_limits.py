"""Jobs are kept within their limits; what jobs on few rows take is made up here."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.shapley.limits import nominal_budget
from tfx_explain.transforms.limits import within_limits

N_BACKGROUND, N_READ, SETTLING = 16, 500, 40


def request(n_players: int, config: dict[str, Any]) -> ExplainRequest:
    given = {"max_examples": 200, "background": {"num_rows": N_BACKGROUND}, **config}
    players = {f"x{place}": (f"x{place}",) for place in range(n_players)}
    return ExplainRequest(
        ExplainConfig.from_dict(given), (None,), {"eval": "somewhere"}, "somewhere", "/nowhere", "/nowhere", players, ()
    )


@dataclasses.dataclass
class Machine:
    """Runs no job, but knows what it takes: so many other model rows and seconds for each row.

    Attributes:
      clock: seconds that trials have taken.
    """

    others: int = 0
    seconds_per_model_row: float = 0.0
    fixed_seconds: float = 0.0
    clock: float = 0.0

    def model_rows(self, tried: ExplainRequest) -> tuple[int, int]:
        config = tried.config
        n = min(N_READ, config.max_examples or N_READ)
        budget = nominal_budget(config.shapley, len(tried.players), N_BACKGROUND) if config.method("shapley") else 0
        return n, n * (budget * N_BACKGROUND + self.others)

    def __call__(self, tried: ExplainRequest) -> dict[str, Any]:
        n, rows = self.model_rows(tried)
        self.clock += self.fixed_seconds + self.seconds_per_model_row * rows
        of_split = {"read": N_READ, "explained": n, "model_rows": rows, "other_model_rows": n * self.others}
        return {"counts": {"eval": of_split}, "failures": {}, "background": {"model_rows": {"prediction": SETTLING}}}


@pytest.mark.parametrize("n_players", [4, 9, 20])
@pytest.mark.parametrize("fraction", [1.0, 0.6, 0.2, 0.01])
def test_the_largest_budget_that_fits_is_taken_and_then_the_most_rows(n_players: int, fraction: float) -> None:
    machine = Machine(others=8)
    whole = SETTLING + machine.model_rows(request(n_players, {}))[1]
    most = int(whole * fraction)
    asked = request(n_players, {"max_model_rows": most})
    found = within_limits(asked, machine)
    n, rows = machine.model_rows(found)
    assert SETTLING + rows <= most
    assert found.asked == asked.config
    cut = found.limits["cut"]
    if fraction == 1.0:
        assert found.config == asked.config
        assert not cut
        return
    # Of two coalitions or one row more it would not be kept.
    step = n * 2 * N_BACKGROUND if n == 200 else rows // n
    assert SETTLING + rows + step > most
    assert ("max_examples" in cut) == (n < 200)
    assert cut["shapley.budget"]["used"] == found.config.shapley.budget
    assert found.limits["forecast_model_rows"] == SETTLING + rows


def test_methods_without_a_budget_explain_fewer_rows() -> None:
    machine = Machine(others=100)
    asked = request(4, {"max_model_rows": SETTLING + 5_050, "methods": ["expected_gradients"]})
    found = within_limits(asked, machine)
    assert found.config.max_examples == 50
    assert found.limits["cut"] == {"max_examples": {"asked": 200, "used": 50}}


@pytest.mark.parametrize("most", [1, SETTLING, SETTLING + 10])
def test_what_cannot_be_kept_is_said(most: int) -> None:
    with pytest.raises(InputError, match=r"allow more"):
        within_limits(request(4, {"max_model_rows": most}), Machine())


def test_time_is_kept_to_with_trials_among_it(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(seconds_per_model_row=2e-5, fixed_seconds=0.1)
    for module in ("trial", "limits"):
        monkeypatch.setattr(f"tfx_explain.transforms.{module}.time.monotonic", lambda: machine.clock)
    whole = 0.1 + 2e-5 * machine.model_rows(request(9, {}))[1]
    found = within_limits(request(9, {"max_seconds": whole / 2}), machine)
    machine(found)
    assert machine.clock <= whole / 2
    assert found.limits["cut"]
    assert np.isclose(found.limits["forecast_seconds"], 0.1 + 2e-5 * machine.model_rows(found)[1], atol=0.1)
    machine.clock = 0.0
    assert not within_limits(request(9, {"max_seconds": 100 * whole}), machine).limits["cut"]


def test_without_limits_nothing_is_tried() -> None:
    asked = request(4, {})

    def run(_: ExplainRequest) -> dict[str, Any]:
        raise AssertionError

    assert within_limits(asked, run) is asked
