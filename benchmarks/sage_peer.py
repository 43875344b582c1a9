"""sage's side of sage_vs_sage.py; runs in the environment of the peers."""

import json
import sys
import time

import numpy as np
import sage
import tensorflow as tf


def main() -> None:
    """Prints times and values as JSON."""
    model_dir, data_file, threshold, n_runs = sys.argv[1:]
    data = np.load(data_file)
    background, rows, labels = data["background"], data["rows"], data["labels"]
    w1, b1, w2, b2, w3, b3 = [tf.constant(weight) for weight in np.load(f"{model_dir}/weights.npz").values()]

    @tf.function(input_signature=[tf.TensorSpec([None, background.shape[1]], tf.float32)])
    def network(x: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(tf.nn.relu(tf.nn.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3)

    n_model_rows = [0]

    def model(x: np.ndarray) -> np.ndarray:
        n_model_rows[0] += len(x)
        return network(x).numpy()

    imputer = sage.MarginalImputer(model, background)
    sage.PermutationEstimator(imputer, "cross entropy")(rows[:64], labels[:64], 64, thresh=0.9, bar=False)
    runs = []
    for seed in range(int(n_runs)):
        estimator = sage.PermutationEstimator(imputer, "cross entropy", random_state=seed)
        n_model_rows[0] = 0
        started = time.perf_counter()
        found = estimator(rows, labels, thresh=float(threshold), bar=False)
        seconds = time.perf_counter() - started
        values, errors = found.values.tolist(), found.std.tolist()
        runs.append({"seconds": seconds, "values": values, "errors": errors, "model_rows": n_model_rows[0]})
    print(json.dumps(runs))


if __name__ == "__main__":
    main()
