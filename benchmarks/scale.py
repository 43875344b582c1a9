"""Seconds and peak memory of small jobs on large models: embedding tables, many features, many outputs.

Each job has a process of its own, which explains a few rows and ends; imports and the making of models are not timed.
Nothing here needs much time in the model, so what is printed is what a job does besides. Only the public functions are
used: with another checkout's `components/` in PYTHONPATH the same jobs run there.

    python benchmarks/scale.py          some minutes; tables of 0.25 and 1 GB, 400 features, 25 and 100 outputs
    python benchmarks/scale.py --tables 1000 --features 1000 --outputs
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

import tfx_explain

WIDTH = 64
N_ROWS = 500
N_EXPLAINED = 100


class Scorer(tf.Module):
    """Two layers on numbers, and on the embedding of an id where there is a table."""

    def __init__(self, n_features: int, n_outputs: int, table_mib: int) -> None:
        super().__init__()
        draw = tf.random.Generator.from_seed(0).normal
        self.names = [f"x{place:04}" for place in range(n_features)]
        self.table = tf.Variable(draw([table_mib * 2**20 // (4 * WIDTH), WIDTH])) if table_mib else None
        width = n_features + (WIDTH if table_mib else 0)
        self.hidden = tf.Variable(draw([width, 32]) / width**0.5)
        self.outputs = tf.Variable(draw([32, n_outputs]))

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


def make(directory: str, n_features: int, n_outputs: int, table_mib: int) -> None:
    """Saves the model and rows that it takes."""
    scorer = Scorer(n_features, n_outputs, table_mib)
    tf.saved_model.save(scorer, f"{directory}/model", signatures=scorer.serve)
    rng = np.random.default_rng(0)
    with tf.io.TFRecordWriter(f"{directory}/rows.tfrecord") as writer:
        for row in rng.normal(size=(N_ROWS, n_features)):
            features = {
                name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
                for name, value in zip(scorer.names, row, strict=True)
            }
            if scorer.table is not None:
                number = int(rng.integers(scorer.table.shape[0]))
                features["id"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def explain(directory: str, n_background: int, sender: object) -> None:
    """Sends seconds and peak memory in MiB."""
    config = {"background": {"num_rows": n_background}, "max_examples": N_EXPLAINED, "model": {"output_space": "raw"}}
    explained = f"{directory}/explanation"
    started = time.perf_counter()
    tfx_explain.explain(
        model=f"{directory}/model", examples=f"{directory}/rows.tfrecord", output_dir=explained, config=config
    )
    seconds = time.perf_counter() - started
    sender.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def measured(n_background: int, **sizes: int) -> tuple[float, float]:
    """Seconds and peak memory in MiB of one job."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        maker = context.Process(target=make, args=(directory,), kwargs=sizes)
        maker.start()
        maker.join()
        receiver, sender = context.Pipe(duplex=False)
        job = context.Process(target=explain, args=(directory, n_background, sender))
        job.start()
        sender.close()
        found = receiver.recv()
        job.join()
    return found


def cases(tables: Sequence[int], features: Sequence[int], outputs: Sequence[int]) -> dict[str, dict[str, int]]:
    """What is printed -> sizes."""
    small = {"n_features": 10, "n_outputs": 1, "table_mib": 0}
    return {
        "10 features": {**small, "n_background": 50},
        **{f"table of {n} MiB": {**small, "table_mib": n, "n_background": 50} for n in tables},
        **{f"{n} features": {**small, "n_features": n, "n_background": 4} for n in features},
        **{f"{n} outputs": {**small, "n_outputs": n, "n_background": 50} for n in outputs},
    }


def main() -> None:
    """Prints a line for each job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, nargs="*", default=[256, 1_024], help="MiB of an embedding's table")
    parser.add_argument("--features", type=int, nargs="*", default=[400], help="4 background rows each")
    parser.add_argument("--outputs", type=int, nargs="*", default=[25, 100])
    arguments = parser.parse_args()
    result = {}
    for name, sizes in cases(arguments.tables, arguments.features, arguments.outputs).items():
        seconds, peak = result[name] = measured(**sizes)
        print(f"{name:<20}{seconds:>8.1f} s{peak:>8,.0f} MiB", flush=True)
    print(json.dumps({name: {"seconds": round(s, 1), "mib": round(mib)} for name, (s, mib) in result.items()}))


if __name__ == "__main__":
    main()
