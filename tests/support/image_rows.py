"""Rows with a picture and an age, as models take them."""

from __future__ import annotations

import pyarrow as pa

import pictures

PLAYERS = (("age",), ("image",))


def rows_of(n: int, seed: int) -> pa.RecordBatch:
    rows = pictures.make_rows(n, seed)
    columns = {
        "image": pa.array([[row["image"]] for row in rows], pa.large_list(pa.large_binary())),
        "age": pa.array([[row["age"]] for row in rows], pa.large_list(pa.float32())),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
