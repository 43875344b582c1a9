"""Rows of the background split that are near a cut-off."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import numpy as np

from tfx_explain.errors import ModelCallError
from tfx_explain.job.explained import set_aside
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.near import NEAR, USABLE, Near
from tfx_explain.job.split_rows import SplitRows
from tfx_explain.methods.refusals import refused_rows
from tfx_explain.transforms.decode import COUNTS, FAILED


class KeepNear(beam.DoFn):
    """SplitRows that the model can read to those near a cut-off; `failed` and `counts` are further outputs.

    Args:
      handle: of the model that is explained.
      near: the cut-off.
    """

    def __init__(self, handle: ModelHandle, near: Near) -> None:
        self.handle = handle
        self.near = near

    def setup(self) -> None:
        """Loads the model."""
        self.model = self.handle.acquire()

    def process(self, element: SplitRows) -> Iterator[SplitRows | beam.pvalue.TaggedOutput]:
        """Asks about one batch."""
        try:
            predictions = self.model.predict(self.model.inputs(element.rows))
        except ModelCallError:
            refused = refused_rows([self.model], element.rows)
            yield beam.pvalue.TaggedOutput(FAILED, (element.split, set_aside(element.rows, refused)[1]))
            element = element.take(np.setdiff1d(np.arange(element.rows.num_rows), list(refused)))
            if not element.rows.num_rows:
                return
            predictions = self.model.predict(self.model.inputs(element.rows))
        kept = np.flatnonzero(self.near.holds(predictions))
        for what, n in ((USABLE, element.rows.num_rows), (NEAR, len(kept))):
            yield beam.pvalue.TaggedOutput(COUNTS, ((element.split, what), n))
        if len(kept):
            yield element.take(kept)
