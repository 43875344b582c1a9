"""Failed rows as they are kept where values of features are not: by name, and without what a model says of them."""

from __future__ import annotations

from collections.abc import Sequence

from tfx_explain import records
from tfx_explain.methods.batch import example_ids
from tfx_explain.methods.refusals import REFUSED, REFUSED_MIXED
from tfx_explain.rows import row_hashes

_UNSAID = "what it says is not stored, as it may hold values"


def without_values(failures: Sequence[tuple[bytes, str]], id_key: str | None) -> list[tuple[bytes, str]]:
    """(name, reason) of failed rows.

    Args:
      failures: (record, reason) of each.
      id_key: the feature with the name of a row; None = rows are called by their content.

    Returns:
      The name of each, empty where the record cannot be read, and its reason without the words of the model.
    """
    decoded, _ = records.decode_records([record for record, _ in failures])
    names = {
        record: name
        for batch, of_batch in decoded
        for record, name in zip(of_batch, example_ids(batch, row_hashes(batch), id_key), strict=True)
    }
    return [(names.get(record, b""), _unsaid(reason)) for record, reason in failures]


def _unsaid(reason: str) -> str:
    said = next((prefix for prefix in (REFUSED_MIXED, REFUSED) if reason.startswith(prefix)), None)
    return reason if said is None else f"{said}; {_UNSAID}"
