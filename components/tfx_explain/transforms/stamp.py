"""What is sent to workers says which versions it was made with.

That comes before everything else of it, so that a worker refuses the run before it meets a class or a field that its
own version does not know, and before it computes anything.
"""

from __future__ import annotations

import apache_beam as beam
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor

from tfx_explain.job.versions import check_versions, versions

_NAME = "_tfx_explain_made_with"


class _MadeWith:
    """Pickled it is a call that compares the versions of who pickles with those of who unpickles, and gives another."""

    def __reduce__(self) -> tuple[object, ...]:
        return _compared, (versions(),)


def _compared(started_with: dict[str, str]) -> _MadeWith:
    check_versions(started_with)
    return _MadeWith()  # as runners may pickle again what they have unpickled


class _Stamping(PipelineVisitor):
    """Stamps every function of a pipeline."""

    def visit_transform(self, transform_node: AppliedPTransform) -> None:
        function = getattr(transform_node.transform, "fn", None)
        if isinstance(function, (beam.DoFn, beam.CombineFn)):
            state = dict(vars(function))
            vars(function).clear()
            vars(function).update({_NAME: _MadeWith(), **state})

    def enter_composite_transform(self, transform_node: AppliedPTransform) -> None:
        self.visit_transform(transform_node)


def stamp(pipeline: beam.Pipeline) -> None:
    """Has workers of other versions refuse a pipeline, all of whose steps are there."""
    pipeline.visit(_Stamping())
