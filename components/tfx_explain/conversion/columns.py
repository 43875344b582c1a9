"""The names of Clarify's columns, which a file may give as indices."""

from __future__ import annotations

import dataclasses
import re

from tfx_explain.attribution import minimum_budget
from tfx_explain.conversion.document import Document
from tfx_explain.conversion.draft import Draft

_PLAIN = re.compile(r"(?:\[\*?\]\.?)?([A-Za-z_][A-Za-z0-9_]*)")
"""A name, or one of each record of a list; all else that JMESPath has leads elsewhere."""
_JSON = ("application/jsonlines", "application/json")
_NO_HEADERS = "it is an index, and `headers` does not say which column that is; name it in the configuration by hand"


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of the data.

    Attributes:
      headers: their names in order; empty where the file has none.
      is_json: whether the headers are first those of the features, then those of label and predicted label.
      has_label: whether a column is the label.
      has_predicted_label: whether a column is a predicted label.
      features: names of the columns that are features; empty where the file has no headers.
    """

    headers: tuple[str, ...]
    is_json: bool
    has_label: bool
    has_predicted_label: bool
    features: tuple[str, ...]

    @classmethod
    def of(cls, document: Document) -> Columns:
        """Those that a file names."""
        given, kind = document.get("headers"), document.get("dataset_type")
        headers = tuple(given) if isinstance(given, list) else ()
        is_json = isinstance(kind, str) and kind.lower() in _JSON
        has_label = document.has("label")
        has_predicted = document.has("predicted_label") and not document.has("predicted_label_dataset_uri")
        excluded = document.get("excluded_columns")
        others = [document.get("joinsource_name_or_index"), *(excluded if isinstance(excluded, list) else ())]
        if not is_json:
            others += [document.get("label"), document.get("predicted_label") if has_predicted else None]
        n_features = len(headers) - (has_label + has_predicted if is_json else 0)
        features = [name for i, name in enumerate(headers[:n_features]) if name not in others and i not in others]
        return cls(headers, is_json, has_label, has_predicted, tuple(features))

    @property
    def least_budget(self) -> int:
        """Coalitions without which the features cannot be explained; 2 where their number is not known."""
        return max(2, minimum_budget("permutation", max(len(self.features), 1)))

    def label(self, draft: Draft) -> str | None:
        """The name of the label; None, which is told, where there is none to be known."""
        document = draft.document
        if not self.is_json or not self.has_label:
            return self.name("label", draft) if self.has_label else None
        if self.headers:
            last = 1 + self.has_predicted_label
            if len(self.headers) > last:
                return self.headers[-last]
        return plain_name(document.get("label"), "label", draft)

    def name(self, path: str, draft: Draft) -> str | None:
        """The name of the column that a key gives by name or index; None, which is told, where there is none."""
        named = self._named(draft.document.get(path))
        if named is None and draft.document.has(path):
            draft.lose(path, _NO_HEADERS)
        return named

    def names(self, path: str, draft: Draft) -> list[str]:
        """The same of a list, each name once; none of them, which is told, where one of them is not known."""
        given = draft.document.get(path)
        named = [self._named(one) for one in given] if isinstance(given, list) else []
        if None in named:
            draft.lose(path, _NO_HEADERS)
            return []
        return list(dict.fromkeys(name for name in named if name is not None))

    def _named(self, given: object) -> str | None:
        if isinstance(given, str):
            return given or None
        if isinstance(given, int) and 0 <= given < len(self.headers):
            return self.headers[given]
        return None


def plain_name(given: object, path: str, draft: Draft) -> str | None:
    """The name of a feature in a JMESPath expression; None, which is told, where it is more than a name."""
    found = _PLAIN.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        draft.lose(path, "the feature is not known by this expression; name it in the configuration by hand")
        return None
    return found[1]
