"""tf.Examples as the pipelines of digits and reviews write and read them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx_bsl.public import tfxio


def example(row: Mapping[str, bytes | int]) -> tf.train.Example:
    """A row as a tf.Example with one value per feature: bytes, or a whole number."""
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, bytes)
        else tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        for name, value in row.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def write(path: Path, examples: Sequence[tf.train.Example]) -> int:
    """Writes a TFRecord file, unless it has this content already.

    ImportExampleGen recognises unchanged data by the file's time, so an untouched file lets a second run reuse the
    first.

    Returns:
      The number of examples.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.new")
    with tf.io.TFRecordWriter(str(written)) as writer:
        for one in examples:
            writer.write(one.SerializeToString(deterministic=True))
    if path.exists() and path.read_bytes() == written.read_bytes():
        written.unlink()
    else:
        os.replace(written, path)
    return len(examples)


def columns(fn_args: Any, files: list[str], schema: Any) -> dict[str, np.ndarray]:
    """All of a split: feature -> its values, `(n,)`.

    Args:
      fn_args: as TFX's Trainer passes it to `run_fn`.
      files: `fn_args.train_files` or `fn_args.eval_files`.
      schema: of the examples, each with one value per feature.
    """
    options = tfxio.TensorFlowDatasetOptions(batch_size=1024, num_epochs=1, shuffle=False)
    batches = list(fn_args.data_accessor.tf_dataset_factory(files, options, schema).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches])[:, 0] for name in batches[0]}
