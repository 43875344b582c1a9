"""How near the Explainer's job comes to the model's own forward pass, Beam, reading and writing included.

The limit is what the SavedModel's function on feature tensors gives at its best batch size, warmed up, on the same
cores. The job explains rows of the 30-feature network of `network.py` through the tensor signature, and through
`serving_default`, whose serialized tf.Examples the job never makes: it feeds the graph past its parse op.

    python benchmarks/model_limit.py
    python benchmarks/model_limit.py --rows 2000     quicker; start-up weighs more
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import network
import numpy as np
import tensorflow as tf

import tfx_explain

N_BACKGROUND = 100
BUDGET = 4 * network.N_FEATURES
BATCH_SIZES = [2**k for k in range(10, 18)]
SECONDS_PER_BATCH_SIZE = 2.0


def forward_rows_per_second(model_dir: str) -> tuple[float, int]:
    """Rows per second of the tensor signature, and the batch size that gave it."""
    loaded = tf.saved_model.load(model_dir)
    function = loaded.signatures["raw"]
    x = network.features()
    best = (0.0, 0)
    for size in BATCH_SIZES:
        rows = np.resize(x, (size, network.N_FEATURES))
        feeds = {name: tf.constant(rows[:, i]) for i, name in enumerate(network.NAMES)}
        function(**feeds)["score"].numpy()
        n_calls, started = 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS_PER_BATCH_SIZE:
            function(**feeds)["score"].numpy()
            n_calls += 1
        best = max(best, (n_calls * size / (time.perf_counter() - started), size))
    return best


def job_rows_per_second(model_dir: str, signature: str, examples: str, output: str) -> tuple[float, float]:
    """Masked rows per second of a whole run, and its seconds."""
    config = {
        "methods": [{"shapley": {"estimator": "leverage", "budget": BUDGET}}],
        "model": {"signature": signature, "output_space": "raw"},
        "background": {"num_rows": N_BACKGROUND},
        "max_examples": None,
    }
    started = time.perf_counter()
    done = tfx_explain.explain(model=model_dir, examples=examples, output_dir=output, config=config)
    seconds = time.perf_counter() - started
    return done.manifest["counts"]["eval"]["model_rows"] / seconds, seconds


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    n_rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as scratch:
        model_dir, examples = str(Path(scratch) / "model"), Path(scratch) / "examples"
        network.train_and_save(Path(model_dir))
        network.write_examples(examples / "Split-train", 1_000, seed=1)
        network.write_examples(examples / "Split-eval", n_rows, seed=2)
        limit, size = forward_rows_per_second(model_dir)
        print(f"forward pass, best batch size {size:,}: {limit:>12,.0f} rows/s")
        print(f"{n_rows:,} rows explained, {BUDGET} coalitions, {N_BACKGROUND} background rows")
        ratios = {}
        for signature in ("raw", "serving_default"):
            rate, seconds = job_rows_per_second(model_dir, signature, str(examples), str(Path(scratch) / signature))
            ratios[signature] = rate / limit
            print(f"job, {signature:<16} {rate:>12,.0f} masked rows/s, {rate / limit:.0%}, {seconds:.1f} s")
    print(json.dumps({"job_over_forward": ratios, "serving_over_raw": ratios["serving_default"] / ratios["raw"]}))


if __name__ == "__main__":
    main()
