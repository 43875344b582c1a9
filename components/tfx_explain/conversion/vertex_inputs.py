"""The inputs that Vertex AI's explanation metadata describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfx_explain.conversion.document import Document
from tfx_explain.errors import ConfigError
from tfx_explain.printable import shown

_ENCODINGS = (
    "encoding_unspecified",
    "identity",
    "bag_of_features",
    "bag_of_features_sparse",
    "indicator",
    "combined_embedding",
    "concat_embedding",
)
"""In the order of their numbers."""
_BAGS = {"bag_of_features": "mean", "bag_of_features_sparse": "zero", "indicator": "zero"}
"""Tensors each place of which is a feature -> what an absent one is."""


@dataclasses.dataclass(frozen=True)
class Input:
    """One input of the model.

    Attributes:
      key: its name in the metadata.
      feature: its name in the examples.
      group: the group that it belongs to; "" = none.
      encoding: in small letters.
      places: what the places of its tensor are called, where each is a feature; else empty.
      is_of_graph: whether its tensor is named as in the graph, not as in the signature.
      is_sparse: whether its places are given by a tensor of their own.
      baselines: its reference values.
      is_image: whether it is said to be one.
    """

    key: str
    feature: str
    group: str
    encoding: str
    places: tuple[str, ...]
    is_of_graph: bool
    is_sparse: bool
    baselines: tuple[object, ...]
    is_image: bool

    @property
    def path(self) -> str:
        """Its path in the metadata."""
        return f"metadata.inputs.{self.key}"

    @property
    def absent(self) -> str | None:
        """What an absent place of its tensor is; None where the tensor is one feature as a whole."""
        return None if self.is_sparse or self.group or not self.places else _BAGS.get(self.encoding)


def inputs_of(document: Document) -> list[Input]:
    """All inputs, in their order.

    Raises:
      ConfigError: two of them are one feature.
    """
    by_feature: dict[str, Input] = {}
    for key in document.names("metadata.inputs"):
        one = _input(document, key)
        other = by_feature.setdefault(one.feature, one)
        if other is not one:
            raise ConfigError(
                f"the inputs {shown(other.key)} and {shown(key)} are both the feature {shown(one.feature)}; each "
                "feature is described once: keep one of them."
            )
    return [*by_feature.values()]


def _input(document: Document, key: str) -> Input:
    at = f"metadata.inputs.{key}"
    tensor, group = str(document.get(f"{at}.input_tensor_name", "")), document.get(f"{at}.group_name")
    encoding, places = document.get(f"{at}.encoding", 1), document.get(f"{at}.index_feature_mapping")
    baselines = document.get(f"{at}.input_baselines")
    if isinstance(encoding, int):
        encoding = _ENCODINGS[encoding] if 0 <= encoding < len(_ENCODINGS) else "unknown"
    return Input(
        key=key,
        feature=tensor if tensor and ":" not in tensor else key,
        group=group if isinstance(group, str) else "",
        encoding=str(encoding).lower(),
        places=tuple(places) if isinstance(places, list) else (),
        is_of_graph=":" in tensor,
        is_sparse=bool(document.get(f"{at}.indices_tensor_name")),
        baselines=tuple(baselines) if isinstance(baselines, list) else (),
        is_image=str(document.get(f"{at}.modality")).lower() == "image",
    )


def is_zero(baseline: object) -> bool:
    """Whether a baseline is nothing but zeros, or empty text."""
    if isinstance(baseline, list):
        return all(map(is_zero, baseline))
    return baseline == "" if isinstance(baseline, str) else baseline == 0


def is_flat(baseline: object) -> bool:
    """Whether a baseline is one text or number, or a list of these."""
    singles = baseline if isinstance(baseline, list) else [baseline]
    return bool(singles) and all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in singles)


def n_players(inputs: Sequence[Input]) -> int:
    """How many features or groups the inputs are."""
    return len({(one.group, "" if one.group else one.feature) for one in inputs})
