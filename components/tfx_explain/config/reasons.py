"""Settings of the reasons that each row is given."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from pydantic import Field, JsonValue, model_validator
from typing_extensions import Self

from tfx_explain.config.base import Config, Part

Side: TypeAlias = Literal["low", "high"]
"""Which side of an output is adverse: attributions below 0, or above."""


class ReasonCode(Part, json_schema_extra={"examples": [{"code": "R01", "text": "Income is too low"}]}):
    """What a reason is called where it is told."""

    code: str = Field(min_length=1, description="code of the reason, text of its own for each player", examples=["R01"])
    text: str = Field(min_length=1, description="what the person is told", examples=["Income is too low"])


class ReasonCodes(Config):
    """A file of codes: name of a player -> its code and text, under `codes`."""

    codes: dict[str, ReasonCode]

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Builds the codes from what a file has, the mapping itself."""
        return super().from_dict({"codes": data})


_CODES: dict[str, JsonValue] = {
    "income": {"code": "R01", "text": "Income is too low"},
    "debt": {"code": "R02", "text": "Debts are too high"},
}
_EXAMPLES: list[JsonValue] = [
    {"adverse": "low", "k": 4, "deny": ["age"]},
    {"adverse": {"score[0]": "high"}, "allow": ["income", "debt"], "codes": _CODES},
]


class ReasonsConfig(Part, json_schema_extra={"examples": _EXAMPLES}):
    """The players that moved each row most to the adverse side, as reasons that a person can be told."""

    adverse: Side | dict[str, Side] = Field(
        description="which side of the output is adverse: `low` where a small output refuses, else `high`; of a model "
        "with several outputs output -> side, and outputs that are left out have no reasons",
        examples=["low", {"score[0]": "high"}],
    )
    k: int = Field(4, ge=1, le=1_000, description="reasons of a row and output at most", examples=[4])
    codes: dict[str, ReasonCode] | str | None = Field(
        None,
        description="player -> its code and text, of every player that may be a reason; or the path or URI of a YAML "
        "or JSON file with that; null = no codes, and names as texts",
        examples=[_CODES],
    )
    deny: tuple[str, ...] = Field(
        (),
        description="features, or groups by name, that are never a reason, nor is a group that holds such a feature",
        examples=[["age"]],
    )
    allow: tuple[str, ...] | None = Field(
        None,
        description="features, or groups by name, that alone may be reasons, none of which `deny` may hide; null = all",
        examples=[["income", "debt"]],
    )
    method: str | None = Field(
        None,
        description="the method whose attributions are taken; null = the first that attributes",
        examples=["shapley"],
    )
    confidence: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="of the intervals of attributions; where two overlap, ranks are uncertain",
        examples=[0.9],
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.adverse, Mapping) and not self.adverse:
            raise ValueError("`adverse` names no output; say `low` or `high`, or name outputs")
        if self.allow is not None and not self.allow:
            raise ValueError("`allow` names nothing that could be a reason; name a player, or leave it out")
        both = set(self.allow or ()) & set(self.deny)
        if both:
            raise ValueError(f"`{min(both)}` is both allowed and denied; remove it from one of the lists")
        if isinstance(self.codes, str) and not self.codes.strip():
            raise ValueError("`codes` is empty; give a mapping, or the path of a file")
        return self

    def chosen_method(self, listed: Sequence[str]) -> str:
        """The method whose attributions are taken, of those that attribute.

        Raises:
          ValueError: it is none of these.
        """
        name = self.method or next(iter(listed), None)
        if name is None:
            raise ValueError("`reasons` are the strongest attributions of a row; list a method that attributes, too")
        if name not in listed:
            near = difflib.get_close_matches(name, listed, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"methods that do: {', '.join(listed) or 'none'}"
            raise ValueError(f"`reasons.method` names `{name}`, which does not attribute here; {hint}")
        return name
