"""What rules need of single rows, where `store_features` keeps values out of the records."""

from __future__ import annotations

from collections.abc import Iterable

from tfx_explain.config import SlicingSpec
from tfx_explain.errors import InputError
from tfx_explain.reader import ExplanationReader
from tfx_explain.tables.manifest import is_stored


def check_stored(reader: ExplanationReader, specs: Iterable[SlicingSpec], rule: str) -> None:
    """Whether records hold what a rule weighs and slices rows by.

    Raises:
      InputError: they do not.
    """
    weight = reader.manifest["config"]["example_weight_key"]
    needed = {name for spec in specs for name in spec.features}.union([] if weight is None else [weight])
    for name in sorted(needed):
        if not is_stored(reader.manifest, name):
            raise InputError(
                f"{reader.uri} holds no values of `{name}` (`store_features`), by which `{rule}` weighs or slices "
                "rows; explain the model again with `store_features: all`, or leave the rule out."
            )
