"""The tables of a written explanation: each is checked against the manifest when it is first read."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from tfx_explain import integrity, records, storage, tables
from tfx_explain.consistency import Consistency
from tfx_explain.errors import InputError
from tfx_explain.row_reader import RowReader
from tfx_explain.tables.manifest import FILES


class TableReader(RowReader):
    """A written explanation whose files can be read by name."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._consistency = Consistency(self.uri, self.manifest)

    def has(self, name: str) -> bool:
        """Whether the explanation has a file: by its manifest, whatever lies in the directory."""
        if self.has_digests:
            return name in self.manifest[FILES]
        return storage.exists(storage.join(self.uri, name))

    def _optional(self, described: tables.Table, cure: str, check: Callable[[pd.DataFrame], None]) -> pd.DataFrame:
        """A table that some explanations have; of earlier versions as it is, since no verdict rests on them."""
        if not self.has(described.file):
            raise InputError(f"{self.uri} has no {described.file}; {cure} and explain the model again.")
        table = self._table(described.file)
        if self.has_digests:
            check(table)
        return table

    def _table(self, name: str) -> pd.DataFrame:
        return records.parse_table(storage.join(self.uri, name), self._content(name)).to_pandas()

    def _content(self, name: str) -> bytes:
        """A file as it was written.

        Raises:
          InputError: it is gone, or was changed since.
        """
        uri = storage.join(self.uri, name)
        content = storage.read_bytes(uri)
        if self.has_digests:
            if not self.has(name):
                raise InputError(f"{uri} is not listed in {tables.MANIFEST}; explain the model again.")
            integrity.check_content(uri, content, self.manifest[FILES][name])
        return content
