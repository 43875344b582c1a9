"""The first rows of the examples, by which a run is settled before Beam reads them all."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from tfx_explain import records, storage
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import EmptySplitError, InputError
from tfx_explain.rows import concat_alike
from tfx_explain.tfrecords import Fault

_LOG = logging.getLogger(__name__)
_PEEK_ROWS = 1_000
_PEEK_FILES = 16


def first_rows_of(
    example_patterns: Mapping[str, str], background_pattern: str, config: ExplainConfig
) -> tuple[dict[str, pa.RecordBatch], pa.RecordBatch]:
    """The first rows of each split, and of the background."""
    peeked = {split: peek(pattern, split) for split, pattern in example_patterns.items()}
    background = peek(background_pattern, config.background.split)
    _warn_of_empty_files({background_pattern, *example_patterns.values()})
    return peeked, background


def peek(pattern: str, split: str) -> pa.RecordBatch:
    """The first rows of some of a split's files, up to a thousand rows.

    What cannot be read is passed over: what is wrong with it, and whether that is too much, is said where all is read.

    Raises:
      EmptySplitError: there are none.
      InputError: nothing that is there can be read.
    """
    files = storage.data_files(pattern)
    faults: list[Fault] = []
    spread = files[:: -(-len(files) // _PEEK_FILES) or 1]
    found = [
        record
        for uri in spread
        for record in itertools.islice(records.read_records(uri, faults), _PEEK_ROWS // len(spread))
    ]
    batches, failures = records.decode_examples(found)
    rest = iter(uri for uri in files if uri not in spread)
    while not batches and (uri := next(rest, None)):
        batches, more = records.decode_examples(list(itertools.islice(records.read_records(uri, faults), _PEEK_ROWS)))
        failures += more
    if batches:
        return _most_alike(batches)
    reasons = [fault.reason for fault in faults] + [reason for _, reason in failures]
    if reasons:
        raise InputError(
            f"no record of split `{split}` can be read: {reasons[0]}; Explainer reads TFRecords of tf.Examples."
        )
    empty = f", {files[0]} is empty (0 bytes)" if files and not storage.size(files[0]) else ""
    what = f"its files ({pattern}) hold no rows{empty}" if files else f"no file matches {pattern}"
    raise EmptySplitError(f"split `{split}` is empty: {what}; name another split or check what ExampleGen wrote.")


def _warn_of_empty_files(patterns: Collection[str]) -> None:
    """Says once which files of 0 bytes add no rows, as those do that a writer was stopped in.

    Gzipped files without a record have 20 bytes, and those of 0 bytes go to the dead letters.
    """
    sizes = {uri: size for pattern in patterns for uri, size in storage.data_file_sizes(pattern).items()}
    empty = sorted(uri for uri, size in sizes.items() if size == 0 and not uri.endswith(".gz"))
    if empty:
        more = f" (as are {len(empty) - 1} more files of the examples)" if len(empty) > 1 else ""
        _LOG.warning(
            "%s is empty (0 bytes) and adds no rows%s; check that what wrote it was not stopped.", empty[0], more
        )


def _most_alike(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The rows of the largest batch, where features have several types, with the columns of all."""
    largest = max(concat_alike(batches), key=lambda batch: batch.num_rows)
    absent = sorted({name for batch in batches for name in batch.schema.names} - set(largest.schema.names))
    columns = [*largest.columns, *(pa.nulls(largest.num_rows) for _ in absent)]
    return pa.RecordBatch.from_arrays(columns, names=[*largest.schema.names, *absent])
