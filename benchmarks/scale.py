"""Seconds and peak memory of large jobs: embedding tables, many features, outputs, rows, keys and slices, and SAGE.

Each job has a process of its own; imports and the making of models are not timed. Little of this needs much time in the
model, so what is printed is what a job does besides. Only the public functions are used, so that another checkout can
be measured in turn.

    python benchmarks/scale.py          tables of 0.25 and 1 GB, 400 features, 25 and 100 outputs, 80,000 keys
    python benchmarks/scale.py --features 2500 --outputs 1000 --tables --rows --keys --slices
    python benchmarks/scale.py --before ../older --most 12000
"""

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

import tfx_explain

WIDTH = 64
N_ROWS = 500
N_EXPLAINED = 100


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of one job.

    Attributes:
      n_features: numbers that the model reads.
      n_outputs: of the model.
      table_mib: of the embedding of an id; 0 = the model reads no id.
      n_background: rows.
      n_rows: that are all explained; 0 = N_EXPLAINED of N_ROWS are.
      with_keys: whether each row has an id of its own.
      is_sliced: whether each id is a slice.
      with_sage: whether SAGE values are taken as well, with the first feature as the label.
    """

    n_features: int = 10
    n_outputs: int = 1
    table_mib: int = 0
    n_background: int = 50
    n_rows: int = 0
    with_keys: bool = False
    is_sliced: bool = False
    with_sage: bool = False

    @property
    def config(self) -> dict[str, object]:
        """Of the job."""
        of_slices = {"slicing_specs": [{"feature_keys": ["id"]}], "max_slices": self.n_rows, "min_slice_examples": 50}
        of_sage = {"label_key": "x0000", "methods": ["shapley", {"sage": {"metric": "mse"}}]}
        return {
            "background": {"num_rows": self.n_background},
            "max_examples": None if self.n_rows else N_EXPLAINED,
            "model": {"output_space": "raw"},
            **(of_slices if self.is_sliced else {}),
            **(of_sage if self.with_sage else {}),
        }


class Scorer(tf.Module):
    """Two layers on numbers, and on the embedding of an id where there is a table."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        draw = tf.random.Generator.from_seed(0).normal
        self.names = [f"x{place:04}" for place in range(sizes.n_features)]
        n_ids = sizes.n_rows if sizes.with_keys else sizes.table_mib * 2**20 // (4 * WIDTH)
        self.table = tf.Variable(draw([n_ids, WIDTH])) if n_ids else None
        width = sizes.n_features + (WIDTH if n_ids else 0)
        self.hidden = tf.Variable(draw([width, 32]) / width**0.5)
        self.outputs = tf.Variable(draw([32, sizes.n_outputs]))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """(n, n_outputs) scores."""
        spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in self.names}
        if self.table is not None:
            spec["id"] = tf.io.FixedLenFeature([], tf.int64)
        parsed = tf.io.parse_example(examples, spec)
        columns = [tf.stack([parsed[name] for name in self.names], axis=1)]
        if self.table is not None:
            columns.append(tf.nn.embedding_lookup(self.table, parsed["id"]))
        return {"scores": tf.nn.relu(tf.concat(columns, axis=1) @ self.hidden) @ self.outputs}


def make(directory: str, sizes: Sizes) -> None:
    """Saves the model and rows that it takes."""
    scorer = Scorer(sizes)
    tf.saved_model.save(scorer, f"{directory}/model", signatures=scorer.serve)
    rng = np.random.default_rng(0)
    with tf.io.TFRecordWriter(f"{directory}/rows.tfrecord") as writer:
        for place, row in enumerate(rng.normal(size=(sizes.n_rows or N_ROWS, sizes.n_features))):
            features = {
                name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
                for name, value in zip(scorer.names, row, strict=True)
            }
            if scorer.table is not None:
                number = place if sizes.with_keys else int(rng.integers(scorer.table.shape[0]))
                features["id"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def explain(directory: str, sizes: Sizes, sender: object) -> None:
    """Sends seconds and peak memory in MiB."""
    output = tempfile.mkdtemp(dir=directory)
    run_job = tfx_explain.explain  # imports what a job needs, where that is not done yet
    started = time.perf_counter()
    run_job(
        model=f"{directory}/model",
        examples=f"{directory}/rows.tfrecord",
        output_dir=f"{output}/explanation",
        config=sizes.config,
    )
    seconds = time.perf_counter() - started
    sender.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


@contextlib.contextmanager
def of_checkout(directory: str | None) -> Iterator[None]:
    """Within this, new processes import the package from another checkout."""
    path = list(sys.path)
    if directory is not None:
        sys.path.insert(0, str(Path(directory, "components").resolve()))
    yield
    sys.path[:] = path


def measured(sizes: Sizes, checkouts: Sequence[str | None], most_mib: int) -> list[tuple[float, float]]:
    """Seconds and peak memory in MiB of one job by each checkout."""
    with tempfile.TemporaryDirectory() as directory:
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(directory, sizes))
        maker.start()
        maker.join()
        return [run(directory, sizes, checkout, most_mib) for checkout in checkouts]


def run(directory: str, sizes: Sizes, checkout: str | None, most_mib: int) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a job; infinite seconds where it was ended for its memory."""
    context, peak = multiprocessing.get_context("spawn"), 0.0
    receiver, sender = context.Pipe(duplex=False)
    job = context.Process(target=explain, args=(directory, sizes, sender))
    with of_checkout(checkout):
        job.start()
    sender.close()
    while not receiver.poll(0.2):
        peak = max(peak, resident_mib(job.pid))
        if peak > most_mib:
            job.kill()
    try:
        return receiver.recv()
    except EOFError:
        return float("inf"), peak
    finally:
        job.join()


def resident_mib(pid: int) -> float:
    """What a process has in memory now; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / 2**20


def cases(arguments: argparse.Namespace) -> dict[str, Sizes]:
    """What is printed -> sizes."""
    few = {"n_features": 3, "n_background": 4}
    return {
        "10 features": Sizes(),
        **{f"table of {n:,} MiB": Sizes(table_mib=n) for n in arguments.tables},
        **{f"{n:,} features": Sizes(n_features=n, n_background=4) for n in arguments.features},
        **{f"{n:,} outputs": Sizes(n_outputs=n) for n in arguments.outputs},
        **{f"{n:,} rows": Sizes(n_rows=n, **few) for n in arguments.rows},
        **{f"{n:,} keys": Sizes(n_rows=n, with_keys=True, **few) for n in arguments.keys},
        **{f"{n:,} slices": Sizes(n_rows=n, with_keys=True, is_sliced=True, **few) for n in arguments.slices},
        **{f"SAGE of {n:,} rows": Sizes(n_rows=n, with_sage=True) for n in arguments.sage},
    }


def main() -> None:
    """Prints a line for each job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, nargs="*", default=[256, 1_024], help="MiB of an embedding's table")
    parser.add_argument("--features", type=int, nargs="*", default=[400], help="4 background rows each")
    parser.add_argument("--outputs", type=int, nargs="*", default=[25, 100])
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000], help="all explained")
    parser.add_argument(
        "--keys", type=int, nargs="*", default=[80_000], help="different ids, a row each, all explained"
    )
    parser.add_argument("--slices", type=int, nargs="*", default=[80_000], help="the same, each a slice")
    parser.add_argument("--sage", type=int, nargs="*", default=[10_000], help="rows whose SAGE values are taken")
    parser.add_argument("--before", help="another checkout, whose jobs are measured before those of this one")
    parser.add_argument("--most", type=int, default=2**20, help="MiB of memory at which a job is ended")
    arguments = parser.parse_args()
    checkouts = [None] if arguments.before is None else [arguments.before, None]
    result = {}
    for name, sizes in cases(arguments).items():
        result[name] = measured(sizes, checkouts, arguments.most)
        print(f"{name:<20}" + "".join(f"{s:>10.1f} s{mib:>8,.0f} MiB" for s, mib in result[name]), flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
