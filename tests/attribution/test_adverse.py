"""Players that moved a row most to the adverse side, against a loop over rows and players."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_explain.attribution.adverse import AdversePlayers, most_adverse

FloatArray = npt.NDArray[np.float64]


def found(values: list[float], errors: float | list[float] = 0.0, floor: float = 0.0, k: int = 9) -> AdversePlayers:
    array, half = np.array([values]), np.broadcast_to(errors, (1, len(values)))
    return most_adverse(array, array - half, array + half, np.array([floor]), k)


def test_players_come_by_size_with_the_margin_to_the_next_one_listed_or_not() -> None:
    chosen = found([1.0, -5.0, 4.0, 2.5], k=2)
    assert (chosen.players.tolist(), chosen.ranks.tolist()) == ([2, 3], [1, 2])
    assert chosen.margins.tolist() == [1.5, 1.5]
    assert not chosen.is_tied.any()
    assert not chosen.is_uncertain.any()


def test_the_last_reason_is_compared_with_nothing() -> None:
    assert found([3.0, -1.0, 1.0]).margins.tolist() == [2.0, 1.0]


@pytest.mark.parametrize(("other", "tied"), [(2.0, True), (2.0 + 1e-9, True), (2.0 + 3e-9, False)])
def test_what_differs_by_rounding_is_tied_in_the_order_of_players(other: float, tied: bool) -> None:
    chosen = found([2.0, other, 7.0], floor=2e-9)
    assert chosen.is_tied.tolist() == [False, tied, tied]
    assert chosen.players.tolist() == ([2, 0, 1] if tied else [2, 1, 0])
    assert chosen.ranks.tolist() == ([1, 2, 2] if tied else [1, 2, 3])
    assert chosen.is_uncertain.tolist() == [False, tied, tied]


def test_a_tie_with_what_is_not_listed_is_a_tie() -> None:
    chosen = found([2.0, 2.0, 2.0], k=2)
    assert chosen.players.tolist() == [0, 1]
    assert chosen.is_tied.all()


def test_rounding_and_the_other_side_are_no_reasons() -> None:
    assert found([1e-9, -3.0, 0.0], floor=1e-9).players.tolist() == []
    assert found([2e-9, 1e-9], floor=1e-9).is_tied.tolist() == [False]


def test_ranks_are_uncertain_where_any_interval_is_met() -> None:
    # The widest reaches the first, though it stands behind the second.
    assert found([9.0, 6.0, 5.0], [0.1, 0.1, 4.0]).is_uncertain.tolist() == [True, True, True]
    assert found([9.0, 6.0, 5.0], [0.1, 0.1, 2.0]).is_uncertain.tolist() == [False, True, True]
    assert found([9.0, 6.0, -1.0], [0.1, 0.1, 7.5]).is_uncertain.tolist() == [False, True]
    assert found([9.0, 1.0], [0.1, 1.0]).is_uncertain.tolist() == [False, True]
    assert found([9.0, 1.0], [np.nan, 0.1]).is_uncertain.tolist() == [True, True]


_NUMBERS = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0])


@given(
    st.lists(st.lists(st.tuples(_NUMBERS, st.sampled_from([0.0, 0.25, 1.0])), min_size=3, max_size=3), min_size=1),
    st.integers(1, 4),
)
def test_all_rows_at_once_are_as_one_by_one(rows: list[list[tuple[float, float]]], k: int) -> None:
    values, errors = np.moveaxis(np.array(rows), 2, 0)
    together = most_adverse(values, values - errors, values + errors, np.zeros(len(rows)), k)
    expected = [one for row in range(len(rows)) for one in _by_hand(row, values[row], errors[row], k)]
    assert [tuple(one) for one in zip(*(column.tolist() for column in together), strict=True)] == expected


def _by_hand(row: int, values: FloatArray, errors: FloatArray, k: int) -> list[tuple[object, ...]]:
    """The same for one row, as the docstring says it."""
    places = range(len(values))
    order = [place for place in sorted(places, key=lambda place: (-values[place], place)) if values[place] > 0]
    told = []
    for at, place in enumerate(order[:k]):
        others = [other for other in places if other != place]
        following = values[order[at + 1]] if at + 1 < len(order) else 0.0
        meets = [abs(values[place] - values[other]) <= errors[place] + errors[other] for other in others]
        rank = 1 + sum(values[other] > values[place] for other in others)
        tied = any(values[other] == values[place] for other in others)
        uncertain = any(meets) or values[place] <= errors[place]
        told.append((row, place, rank, values[place] - following, tied, uncertain))
    return told
