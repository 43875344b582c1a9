"""Stopwatches: threads at one thing count once, and what was told is not told again."""

from __future__ import annotations

import pytest

from tfx_explain.timings import CALL, LOAD, MODEL, READ, SOLVE, Spent, Timings


class Clock:
    """Stands still unless told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timings(clock: Clock) -> Timings:
    return Timings(clock)


def test_those_who_are_at_one_thing_together_count_once(clock: Clock, timings: Timings) -> None:
    first, second = timings.of(LOAD), timings.of(LOAD)
    first.__enter__()
    clock.go(1)
    second.__enter__()
    clock.go(2)
    first.__exit__(None, None, None)
    clock.go(4)
    second.__exit__(None, None, None)
    clock.go(8)
    with timings.of(LOAD, times=3):
        clock.go(16)
    assert timings.take() == {LOAD: Spent(5, 23.0)}


def test_what_fails_took_time_too(clock: Clock, timings: Timings) -> None:
    def fail() -> None:
        with timings.of(LOAD):
            clock.go(2)
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert timings.take() == {LOAD: Spent(1, 2.0)}


def test_steps_are_timed_without_their_user(clock: Clock, timings: Timings) -> None:
    def made():
        for n in (3, 4):
            clock.go(n)
            yield n
        clock.go(5)

    for _ in timings.steps(READ, made(), lambda n: 10 * n):
        clock.go(100)
    assert timings.take() == {READ: Spent(70, 12.0)}


def test_explaining_is_calls_of_models_and_the_rest(clock: Clock, timings: Timings) -> None:
    with timings.of(CALL):
        clock.go(7)
    with timings.explaining():
        clock.go(1)
        for seconds in (2, 3):
            with timings.of(CALL):
                clock.go(seconds)
        clock.go(4)
    # Calls as such are told by what they were for.
    assert timings.take() == {MODEL: Spent(2, 5.0), SOLVE: Spent(1, 5.0)}


def test_what_was_taken_is_not_taken_again(clock: Clock, timings: Timings) -> None:
    for seconds in (1, 2):
        with timings.of(LOAD):
            clock.go(seconds)
        assert timings.take() == {LOAD: Spent(1, seconds)}
        assert timings.take() == {}
