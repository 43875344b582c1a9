"""Lets Beam remember what it asks again for every step of every pipeline, a large part of a small job's time.

The answers depend on nothing but what is asked: the arguments of a function, which state a step keeps, and what options
make of a command line. What Beam holds of side inputs is not weighed either: it would walk through all modules to say
what may go where memory ends. What runs in other processes, as workers and the command line do, has Beam as it is.
"""

from __future__ import annotations

import copy
import functools
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.worker import statecache
from apache_beam.transforms import core, userstate


def remember(patch: pytest.MonkeyPatch) -> None:
    """Until the patch is undone."""
    patch.setattr(core, "get_function_arguments", _remembering_arguments(core.get_function_arguments))
    patch.setattr(userstate, "get_dofn_specs", _remembering_specs(userstate.get_dofn_specs))
    patch.setattr(PipelineOptions, "__init__", _remembering_options(PipelineOptions.__init__))
    patch.setattr(statecache, "get_deep_size", lambda *values: len(values))


def _remembering_arguments(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Asks about each function once; not where a step answers for itself, as those that hold a function do."""
    known = WeakKeyDictionary[Any, Any]()

    @functools.wraps(ask)
    def arguments(step: Any, name: str) -> Any:
        function = getattr(getattr(step, name), "__func__", None)
        if function is None or hasattr(step, f"_inspect_{name}"):
            return ask(step, name)
        if function not in known:
            known[function] = ask(step, name)
        names, defaults = known[function]
        return list(names), list(defaults)

    return arguments


def _remembering_specs(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Asks once per class of steps for the state and timers; not where what a step holds may have some."""
    known = WeakKeyDictionary[type, Any]()

    @functools.wraps(ask)
    def specs(step: Any) -> Any:
        told = {name.removeprefix("_inspect_") for name in _TELLING if hasattr(step, name)}
        if any(isinstance(default, core._DoFnParam) for name in told for default in _defaults(step, name)):
            return ask(step)
        if type(step) not in known:
            known[type(step)] = ask(step)
        states, timers = known[type(step)]
        return set(states), set(timers)

    return specs


_TELLING = ("_inspect_process", "_inspect_start_bundle", "_inspect_finish_bundle")


def _defaults(step: Any, name: str) -> list[Any]:
    return core.get_function_arguments(step, name)[1]


def _remembering_options(parse: Callable[..., None]) -> Callable[..., None]:
    """Parses each command line once per class of options."""
    known = dict[tuple[type[PipelineOptions], tuple[str, ...]], Namespace]()

    @functools.wraps(parse)
    def init(self: PipelineOptions, flags: Sequence[str] | None = None, **overrides: Any) -> None:
        if not isinstance(flags, list):
            parse(self, flags, **overrides)
            return
        key = type(self), tuple(flags)
        if key not in known:
            parse(self, flags, **overrides)
            known[key] = copy.deepcopy(self._visible_options)
            return
        self._flags, self._visible_options, self._all_options = flags, copy.deepcopy(known[key]), overrides
        for name in self._visible_option_list():
            overrides.setdefault(name, getattr(self._visible_options, name))

    return init
