"""From attribution records to how much of a feature's parts lies in one place, by slice and output."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfx_explain.attribution_records import RecordLayout
from tfx_explain.config import SlicingSpec
from tfx_explain.errors import ConfigError
from tfx_explain.judgement.details import PartPlace, PartShare
from tfx_explain.part_shares import part_sizes
from tfx_explain.reader import ExplanationReader
from tfx_explain.rows import example_weights
from tfx_explain.slicing import slice_examples, slice_name
from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array


@dataclasses.dataclass(frozen=True, eq=False)
class PartPlaces:
    """Places inside features of one explanation, each looked up once.

    Attributes:
      reader: the explanation.
      specs: the slices that will be asked for.
      method: whose parts are meant.
    """

    reader: ExplanationReader
    specs: Sequence[SlicingSpec]
    method: str
    _known: dict[PartPlace, Mapping[tuple[str, str], PartShare]] = dataclasses.field(default_factory=dict)

    def of(self, slice_key: str, output: str) -> Callable[[PartPlace], PartShare | None]:
        """What lies in a place, in one (slice, output); None where no row has parts."""

        def share(place: PartPlace) -> PartShare | None:
            if place not in self._known:
                self._known[place] = self._shares(place)
            return self._known[place].get((slice_key, output))

        return share

    def _shares(self, place: PartPlace) -> dict[tuple[str, str], PartShare]:
        layout, outputs = RecordLayout.of(self.reader.manifest), self.reader.outputs
        parts = layout.parts.get(self.method, {})
        if place.feature not in parts:
            there = ", ".join(f"`{name}`" for name in parts) or "no feature"
            raise ConfigError(
                f"rule `max_part_share` asks for the parts of `{place.feature}`, but `{self.method}` of "
                f"{self.reader.uri} looks into {there}; name another `method`, or let it look there."
            )
        of = parts[place.feature]
        place.check(of.kind)
        weight_key = self.reader.manifest["config"]["example_weight_key"]
        sums: dict[tuple[str, str], _Sums] = {}
        for batch in self.reader.attribution_batches():
            sizes = part_sizes(batch, layout.prefix(self.method), of, len(outputs), place)
            weights = np.ones(batch.num_rows) if weight_key is None else example_weights(batch, weight_key)
            for slice_key, rows in slice_examples(batch, [SlicingSpec(), *self.specs]).items():
                for index, output in enumerate(outputs):
                    pairs = np.stack([sizes.inside[rows, index], sizes.total[rows, index]], axis=1)
                    sums.setdefault((slice_name(slice_key), output), _Sums()).add(pairs, weights[rows])
        return {key: found.share() for key, found in sums.items() if found.n_examples}


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
