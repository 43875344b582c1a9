"""A transform graph by place and content, small enough to send to any worker; loaded once in each process."""

from __future__ import annotations

import dataclasses
import functools
import threading

from tfx_explain.content_digest import directory_digest
from tfx_explain.errors import ModelError
from tfx_explain.fetched import fetch
from tfx_explain.models.transform.column import TransformedColumn
from tfx_explain.models.transform.graph import TransformGraph

_LOCK = threading.RLock()
_KEPT = 4


@dataclasses.dataclass(frozen=True)
class TransformHandle:
    """Where a transform graph is, and which one it is.

    Attributes:
      directory: a TransformGraph artifact, as the Transform component writes it.
      identity: digest of its files; "" = of what is there when it is asked for.
    """

    directory: str
    identity: str = ""

    def identified(self) -> TransformHandle:
        """The same, bound to the content that is there now."""
        return dataclasses.replace(self, identity=directory_digest(self.directory))

    def acquire(self) -> TransformGraph:
        """The loaded graph, shared by all who ask for it in this process.

        Raises:
          ModelError: there is none, or it is not the one of this identity any more.
        """
        with _LOCK:
            return _graph(self)

    def column(self, name: str) -> TransformedColumn:
        """One of the columns that it makes, shared likewise.

        Raises:
          ModelError: as for `acquire`.
          ConfigError: there is no such column, or it depends on no feature.
        """
        with _LOCK:
            return _column(self, name)

    def check(self, copy: str | None = None) -> None:
        """Refuses a graph whose files have changed since this handle was bound to them.

        Args:
          copy: of the files, which is looked at in their place.

        Raises:
          ModelError: they have changed, or are gone.
        """
        if self.identity and directory_digest(copy or self.directory) != self.identity:
            raise ModelError(
                f"the transform graph at {self.directory} was changed while it was used: run again, and leave it as it "
                "is until the run ends."
            )


@functools.lru_cache(_KEPT)
def _graph(handle: TransformHandle) -> TransformGraph:
    graph = fetch(handle.directory)
    handle.check(graph.path)
    return TransformGraph(graph)


@functools.lru_cache(_KEPT)
def _column(handle: TransformHandle, name: str) -> TransformedColumn:
    return TransformedColumn(_graph(handle), name)
