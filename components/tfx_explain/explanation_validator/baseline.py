"""What an explanation is compared with, and whether the two can be compared at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tfx_explain.errors import InputError
from tfx_explain.reader import ExplanationReader
from tfx_explain.tables.manifest import Manifest

NO_BASELINE = "there is no baseline yet, as on the first run"


def check_comparable(explanation: ExplanationReader, baseline: ExplanationReader, methods: Iterable[str]) -> None:
    """Refuses a baseline whose figures are not about the same thing.

    The models and the examples may differ, that is what is compared. The way the attributions were estimated may differ
    too: it changes their errors, not what they are estimates of.

    Args:
      explanation: what is judged.
      baseline: what it is compared with.
      methods: those whose attributions are compared.

    Raises:
      InputError: method, output, output space, players, background or example weights differ.
    """
    ours, theirs = explanation.manifest, baseline.manifest
    told = [
        *(_told("method", method, method if method in baseline.methods else f"no {method}") for method in methods),
        *(
            _told(f"references of {method}", *map(_references(method), (ours, theirs)))
            for method in methods
            if method in baseline.methods
        ),
        _told("model output", ours["outputs"], theirs["outputs"], show=", ".join),
        _told("output space", ours["model"]["output_space"], theirs["model"]["output_space"]),
        _told("players", _players(ours), _players(theirs), show=lambda players: ", ".join(players)),
        _told("background", ours["background"]["digest"], theirs["background"]["digest"], show=lambda d: d[:8]),
        _told("example weights", _weight(ours), _weight(theirs)),
    ]
    differ = [text for text in told if text]
    if differ:
        raise InputError(
            f"the explanation {explanation.uri} cannot be compared with the baseline {baseline.uri}, since they differ "
            f"in {'; '.join(differ)}; explain both with one configuration and the same `background_examples`."
        )


def _told(what: str, ours: Any, theirs: Any, show: Any = str) -> str:
    """The difference in words; empty where there is none."""
    return "" if ours == theirs else f"{what} ({show(ours)} against {show(theirs)})"


def _references(method: str) -> Callable[[Manifest], str]:
    """What tells a method's references apart in a manifest; of methods that have none, or are missing, nothing."""
    return lambda manifest: str(manifest["method"].get(method, {}).get("references_digest", ""))[:8]


def _players(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    return {name: tuple(sorted(features)) for name, features in manifest["players"].items()}


def _weight(manifest: Manifest) -> str | None:
    key: str | None = manifest["config"]["example_weight_key"]
    return key
