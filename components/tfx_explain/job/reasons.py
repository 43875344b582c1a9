"""Who may be a reason for an output, and what it is then called: settled before the job, by names."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.config import ExplainConfig
from tfx_explain.config.reasons import ReasonCode, ReasonCodes, ReasonsConfig
from tfx_explain.errors import ConfigError
from tfx_explain.printable import there_is

_SIDES = {"low": -1.0, "high": 1.0}


@dataclasses.dataclass(frozen=True)
class Reasons:
    """What may be a reason.

    Attributes:
      method: whose attributions are taken.
      k: reasons of a row and output at most.
      confidence: of intervals.
      outputs: places of the outputs that have reasons, among those that are explained.
      signs: what makes attributions to the adverse side positive, 1 or -1 for each of these.
      players: places of the players that may be reasons.
      names: of these.
      codes: of these, "" where there are none.
      texts: of these.
      adverse: name of an output -> its adverse side.
    """

    method: str
    k: int
    confidence: float
    outputs: npt.NDArray[np.int64]
    signs: npt.NDArray[np.float64]
    players: npt.NDArray[np.int64]
    names: tuple[str, ...]
    codes: tuple[str, ...]
    texts: tuple[str, ...]
    adverse: Mapping[str, str]

    def describe(self) -> dict[str, object]:
        """The entry `reasons` of the manifest."""
        return {
            "method": self.method,
            "k": self.k,
            "confidence": self.confidence,
            "adverse": dict(self.adverse),
            "players": list(self.names),
            "codes": {name: code for name, code in zip(self.names, self.codes, strict=True) if code},
        }


@dataclasses.dataclass(frozen=True)
class Named:
    """The names that a configuration may use.

    Attributes:
      players: name -> all other names of what is in it: features, and raw ones where these are columns of a graph.
      others: features that no player has.
      outputs: those that are explained.
    """

    players: Mapping[str, frozenset[str]]
    others: frozenset[str]
    outputs: Sequence[str]

    @classmethod
    def of(
        cls,
        players: Mapping[str, Sequence[str]],
        others: Collection[str],
        outputs: Sequence[str],
        origins: Mapping[str, Sequence[str]],
    ) -> Named:
        """The names of a job; origins are the raw features that columns of transformed examples come from."""
        within = {
            player: frozenset([*members, *(raw for member in members for raw in origins.get(member, ()))])
            for player, members in players.items()
        }
        return cls(within, frozenset(others), outputs)

    def with_any(self, name: str) -> list[str]:
        """The players of this name, or with a feature of it."""
        return [player for player, within in self.players.items() if name == player or name in within]

    def hint(self, name: str, known: Collection[str]) -> str:
        """What was probably meant, else what there is."""
        near = difflib.get_close_matches(name, sorted(known), n=1)
        return f"did you mean `{near[0]}`?" if near else f"{there_is(sorted(known))}."

    def check(self, key: str, name: str) -> None:
        """Refuses a name that nothing has.

        Raises:
          ConfigError: neither player nor feature is called so.
        """
        known = {*self.players, *self.others, *(one for within in self.players.values() for one in within)}
        if name not in known:
            raise ConfigError(f"`reasons.{key}` names `{name}`, which is no feature or group; {self.hint(name, known)}")


def settle_reasons(config: ExplainConfig, methods: Sequence[str], named: Named) -> Reasons | None:
    """What may be a reason; None where none were asked for.

    Args:
      config: as given.
      methods: those that attribute.
      named: what names there are.

    Raises:
      ConfigError: a name is unknown, nothing is left, a player has no code, or a side is not said of an output.
      InputError: the file of codes cannot be read.
    """
    settings = config.reasons
    if settings is None:
        return None
    adverse = _adverse(settings, config, named)
    allowed = _allowed(settings, named)
    codes = _codes(settings, allowed, named)
    texts = [codes[name].text if name in codes else config.feature_names.get(name, name) for name in allowed]
    return Reasons(
        method=settings.method or methods[0],
        k=settings.k,
        confidence=settings.confidence,
        outputs=np.array([named.outputs.index(output) for output in adverse]),
        signs=np.array([_SIDES[side] for side in adverse.values()]),
        players=np.array([list(named.players).index(name) for name in allowed]),
        names=tuple(allowed),
        codes=tuple(codes[name].code if name in codes else "" for name in allowed),
        texts=tuple(texts),
        adverse=adverse,
    )


def _adverse(settings: ReasonsConfig, config: ExplainConfig, named: Named) -> dict[str, str]:
    """Output -> its side, in the order of the outputs."""
    if isinstance(config.model.classes, str):
        raise ConfigError(
            f"`model.classes: {config.model.classes}` explains another output in each row, so that no side of it is "
            "adverse in all; list the outputs that `reasons` are for in `model.classes`."
        )
    if isinstance(settings.adverse, str):
        if len(named.outputs) > 1:
            raise ConfigError(
                f"`reasons.adverse: {settings.adverse}` does not say of which of {len(named.outputs)} outputs; name "
                f"some of {', '.join(named.outputs)}, as {{{named.outputs[0]}: {settings.adverse}}}."
            )
        return {named.outputs[0]: settings.adverse}
    for output in settings.adverse:
        if output not in named.outputs:
            raise ConfigError(
                f"`reasons.adverse` names `{output}`, which is no explained output; {named.hint(output, named.outputs)}"
            )
    return {output: settings.adverse[output] for output in named.outputs if output in settings.adverse}


def _allowed(settings: ReasonsConfig, named: Named) -> list[str]:
    """The players that may be reasons: all, or those that are allowed, less those that hold what is denied."""
    for name in settings.deny:
        named.check("deny", name)
    denied = {player: name for name in settings.deny for player in named.with_any(name)}
    for name in settings.allow or ():
        named.check("allow", name)
        if name not in named.players:
            inside = named.with_any(name)
            cure = f"it is in `{inside[0]}`; allow that" if inside else "the model does not read it; take it out"
            raise ConfigError(f"`reasons.allow` names `{name}`, which is no player: {cure}.")
        if name in denied:
            raise ConfigError(
                f"`reasons.allow` names `{name}`, which `deny` hides, as it holds `{denied[name]}`; keep one of them."
            )
    wanted = named.players if settings.allow is None else settings.allow
    allowed = [player for player in named.players if player in wanted and player not in denied]
    if not allowed:
        raise ConfigError("`reasons.deny` leaves no player that could be a reason; deny fewer.")
    return allowed


def _codes(settings: ReasonsConfig, allowed: Sequence[str], named: Named) -> Mapping[str, ReasonCode]:
    """Player -> its code; empty where no codes were given."""
    if settings.codes is None:
        return {}
    is_file = isinstance(settings.codes, str)
    codes = ReasonCodes.from_file(settings.codes).codes if isinstance(settings.codes, str) else settings.codes
    where = f" ({settings.codes})" if is_file else ""
    for name in codes:
        named.check(f"codes{where}", name)
    owners: dict[str, str] = {}
    for name in allowed:
        if name not in codes:
            raise ConfigError(
                f"`reasons.codes`{where} has no code for `{name}`, which may be a reason; give it one, or deny it."
            )
        other = owners.setdefault(codes[name].code, name)
        if other != name:
            raise ConfigError(
                f"`reasons.codes`{where} gives `{other}` and `{name}` the same code `{codes[name].code}`; give each "
                "its own, or make them one group of `features.groups`."
            )
    return codes
