"""From attribution records to how much of a feature's parts lies in one place, by slice and output."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tfx_explain.attribution_records import RecordLayout
from tfx_explain.config import SlicingSpec
from tfx_explain.errors import ConfigError
from tfx_explain.explanation_validator.stored import check_stored
from tfx_explain.judgement.details import PartPlace, PartShare
from tfx_explain.part_records import PartsOf
from tfx_explain.part_shares import part_sizes
from tfx_explain.reader import ExplanationReader
from tfx_explain.rows import example_weights
from tfx_explain.slicing import slice_examples, slice_name
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array

Shares = dict[tuple[str, str], PartShare]
"""(slice, output) -> what lies in one place."""


@dataclasses.dataclass(frozen=True, eq=False)
class PartPlaces:
    """Places inside features of one explanation; its records are read once for all that are known beforehand.

    Attributes:
      reader: the explanation.
      specs: the slices that will be asked for.
      asked: (method, place) that rules will ask for; others are looked up when they do.
    """

    reader: ExplanationReader
    specs: Sequence[SlicingSpec]
    asked: Sequence[tuple[str, PartPlace]] = ()
    _known: dict[tuple[str, PartPlace], Shares] = dataclasses.field(default_factory=dict)

    def of(self, method: str, slice_key: str, output: str) -> Callable[[PartPlace], PartShare | None]:
        """What a method finds in a place, in one (slice, output); None where no row has parts."""

        def share(place: PartPlace) -> PartShare | None:
            if (method, place) not in self._known:
                self._known.update(self._shares(dict.fromkeys([(method, place), *self.asked])))
            return self._known[method, place].get((slice_key, output))

        return share

    def _shares(self, wanted: Iterable[tuple[str, PartPlace]]) -> dict[tuple[str, PartPlace], Shares]:
        """What lies in some places, from all records."""
        kinds = {(method, place): self._parts(method, place) for method, place in wanted}
        layout, outputs = RecordLayout.of(self.reader.manifest), self.reader.outputs
        weight_key = self.reader.manifest["config"]["example_weight_key"]
        check_stored(self.reader, self.specs, "max_part_share")
        sums: dict[tuple[str, PartPlace], dict[tuple[str, str], _Sums]] = {key: {} for key in kinds}
        for batch in self.reader.attribution_batches():
            weights = np.ones(batch.num_rows) if weight_key is None else example_weights(batch, weight_key)
            slices = slice_examples(batch, [SlicingSpec(), *self.specs])
            for (method, place), of in kinds.items():
                sizes = part_sizes(batch, layout.prefix(method), of, len(outputs), place)
                of_place = sums[method, place]
                for slice_key, rows in slices.items():
                    for index, output in enumerate(outputs):
                        pairs = np.stack([sizes.inside[rows, index], sizes.total[rows, index]], axis=1)
                        of_place.setdefault((slice_name(slice_key), output), _Sums()).add(pairs, weights[rows])
        return {
            key: {cell: found.share() for cell, found in of_place.items() if found.n_examples}
            for key, of_place in sums.items()
        }

    def _parts(self, method: str, place: PartPlace) -> PartsOf:
        """What the parts of the place's feature are.

        Raises:
          ConfigError: the method does not look into the feature, or it has no such places.
        """
        parts = RecordLayout.of(self.reader.manifest).parts.get(method, {})
        if place.feature not in parts:
            there = ", ".join(f"`{name}`" for name in parts) or "no feature"
            raise ConfigError(
                f"rule `max_part_share` asks for the parts of `{place.feature}`, but `{method}` of "
                f"{self.reader.uri} looks into {there}; name another `method`, or let it look there."
            )
        place.check(parts[place.feature].kind)
        return parts[place.feature]


@dataclasses.dataclass
class _Sums:
    """What the rows of one (slice, output) add up to."""

    moments: WeightedMoments = dataclasses.field(default_factory=lambda: WeightedMoments.empty(2, full=True))
    n_examples: int = 0
    n_showing: int = 0

    def add(self, pairs: Array, weights: Array) -> None:
        """Adds rows: sizes in the place and in all, (n, 2), and weights (n,)."""
        self.moments.add(pairs, weights)
        self.n_examples += int((weights > 0).sum())
        self.n_showing += int(((weights > 0) & (pairs[:, 0] != 0)).sum())

    def share(self) -> PartShare:
        """The same as rules want it."""
        moments = self.moments
        means, covariance = moments.mean_or_nan(), moments.covariance_of_mean()
        return PartShare(self.n_examples, moments.n_effective, means, covariance, self.n_showing)
