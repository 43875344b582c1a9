"""What a rule is: one frozen description, of which there is one for each name in the configuration.

A rule about the data compares a confidence bound, not a point value, so it ends in one of three ways: the bound shows
that the rule holds, the opposite bound shows that it is broken, or the examples cannot tell.

Bounds are one-sided: each is right with the configured confidence. So a model that sits exactly on a threshold is
refused as a `fail` with a probability of at most 1 - confidence, and passed with at most the same. `policy` says what
becomes of that where there are several rules.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from typing_extensions import Self

from tfx_explain.errors import ConfigError
from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.evidence import ONLY_NOISE, Evidence
from tfx_explain.judgement.finding import Outcome

Settings = Mapping[str, Any]
"""A rule's own settings, as in the configuration: name -> value."""

Unit = Literal["fraction", "output", "ratio", "rank", "count"]
"""Of a figure: part of something, the output's own units, a factor or distance without a unit, a place, a number."""


class Demand(enum.Enum):
    """What a rule wants of the players that it names, as far as rules of one policy can contradict each other in it."""

    SHARE_AT_MOST = enum.auto()
    SHARE_AT_LEAST = enum.auto()
    EACH_SHARE_AT_MOST = enum.auto()
    IMPORTANCE_AT_LEAST = enum.auto()
    AMONG_TOP_K = enum.auto()
    MORE_THAN_NOISE = enum.auto()
    DIRECTION = enum.auto()

    @property
    def is_to_matter(self) -> bool:
        """Whether it is that the players matter."""
        return self in (Demand.SHARE_AT_LEAST, Demand.IMPORTANCE_AT_LEAST, Demand.AMONG_TOP_K)


class Grounds(Protocol):
    """What a rule judges: one (slice, output) of one explanation, or of an explanation and its baseline."""

    @property
    def players(self) -> tuple[str, ...]:
        """(d,) names."""
        ...

    @property
    def slice_key(self) -> str:
        """The part of the data."""
        ...

    @property
    def output(self) -> str:
        """The model output."""
        ...

    @property
    def method(self) -> str:
        """Whose table of attributions it is about."""
        ...

    def index(self, players: Sequence[str] | None) -> list[int]:
        """Positions of the named players, each once; of all where None. A ConfigError where a name is unknown."""
        ...

    def lacks(self, min_examples: int) -> str:
        """Why nothing can be judged, as a sentence; empty where something can."""
        ...


@dataclasses.dataclass(frozen=True)
class Need:
    """What a rule needs of the evidence beside importance.

    Attributes:
      detail: what `Evidence` has it as, None where it is not known.
      otherwise: what to say where it is absent. Of a mistake: what goes on after the rule's name.
      is_mistake: whether the explanation was made without it, so that the policy cannot be judged at all.
    """

    detail: Literal["signed", "interactions", "steps", "contrast", "positive_total", "faithfulness"]
    otherwise: str
    is_mistake: bool = False


TOTAL = Need("positive_total", ONLY_NOISE)
"""Of rules whose figures are parts of the total importance."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a rule makes of its evidence.

    Attributes:
      outcome: of the rule.
      bounds: the figure that it is about, and the players that this is about.
      message: one sentence: the figure, its bounds, the threshold, and what to do.
      is_estimated: whether the outcome is right with the confidence only; else the figure is known exactly, or nothing
        could be judged.
    """

    outcome: Outcome
    bounds: Bounds
    message: str
    is_estimated: bool = True

    @classmethod
    def undecided(cls, reason: str, about: Sequence[str] = ()) -> Self:
        """Where nothing can be judged, and why."""
        return cls("insufficient_evidence", Bounds.unknown(tuple(about)), reason, is_estimated=False)


def _as_they_are(settings: Settings) -> Settings:
    return settings


@dataclasses.dataclass(frozen=True)
class RuleDescription:
    """A rule: whatever there is to know about it stands here.

    Attributes:
      name: as in the configuration.
      judge: from evidence, confidence and, by name, the settings to a decision; called only where there is something to
        judge. Its keyword parameters are the settings, and the first line of its docstring is the rule's text.
      evidence: the class of what it judges; anything but `Evidence` compares with a baseline.
      unit: of its figure.
      limits: settings that say how strict the rule is; the first is the threshold. None of them: it is 0.
      demand: what it wants, where other rules may want the opposite.
      directions: the values of the setting `direction`; two cannot be demanded of the same.
      naming: the settings that name players.
      about: the setting that names whom the rule is about; None = it never says where nothing can be judged.
      needs: of the evidence beside importance.
      needs_importance: whether too few examples, or importance that is not known, leave nothing to judge.
      shows_figures: whether its figures are shown even where nothing can be judged.
      beforehand: from evidence and settings to the decision where that needs nothing else, before anything is looked
        at; else None. Settings that mean nothing are refused here.
      threshold: from settings to what the figure is compared with, where that is not the first of the limits.
      shown: from settings to those that findings repeat.
    """

    name: str
    judge: Callable[..., Decision]
    evidence: type[Grounds]
    unit: Unit
    limits: tuple[str, ...] = ("value",)
    demand: Demand | None = None
    directions: tuple[str, ...] = ()
    naming: tuple[str, ...] = ("players",)
    about: str | None = "players"
    needs: tuple[Need, ...] = ()
    needs_importance: bool = True
    shows_figures: bool = False
    beforehand: Callable[..., Decision | None] | None = None
    threshold: Callable[[Settings], float] | None = None
    shown: Callable[[Settings], Settings] = _as_they_are

    @property
    def needs_baseline(self) -> bool:
        """Whether it compares with a baseline."""
        return self.evidence is not Evidence

    @property
    def is_between_slices(self) -> bool:
        """Whether it compares a slice with the rest, so that it says nothing about the whole data."""
        return any(need.detail == "contrast" for need in self.needs)

    @property
    def text(self) -> str:
        """What the rule demands, for people."""
        return (self.judge.__doc__ or self.name).strip().splitlines()[0]

    @functools.cached_property
    def defaults(self) -> Settings:
        """The settings in their order, with `inspect.Parameter.empty` for those that must be given."""
        parameters = inspect.signature(self.judge).parameters.values()
        return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}

    def complete(self, settings: Settings) -> Settings:
        """The settings in the order of the rule, with the defaults of those that are not given.

        Raises:
          ConfigError: one is missing, or is none of the rule's.
        """
        given = {**self.defaults, **settings}
        missing = [name for name, value in given.items() if value is inspect.Parameter.empty]
        unknown = [name for name in settings if name not in self.defaults]
        if missing or unknown:
            what = f"needs the setting `{missing[0]}`" if missing else f"has no setting `{unknown[0]}`"
            raise ConfigError(f"rule `{self.name}` {what}; its settings: {', '.join(self.defaults)}.")
        return given

    def limit(self, settings: Settings) -> float:
        """What the figure is compared with."""
        if self.threshold is not None:
            return self.threshold(settings)
        return float(settings[self.limits[0]]) if self.limits else 0.0
