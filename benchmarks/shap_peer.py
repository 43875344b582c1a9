"""shap's side of shapley_vs_shap.py; runs in the environment of the peers."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import model_kinds
import numpy as np
import shap
import tensorflow as tf


def load(model_dir: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The network whose weights are there, compiled by TensorFlow, or the model of the kind that is named there."""
    if (model_dir / "kind").exists():
        return model_kinds.KINDS[(model_dir / "kind").read_text()][0]()
    weights = np.load(model_dir / "weights.npz").values()
    w1, b1, w2, b2, w3, b3 = [tf.constant(weight) for weight in weights]

    @tf.function(input_signature=[tf.TensorSpec([None, len(w1)], tf.float32)])
    def network(x: tf.Tensor) -> tf.Tensor:
        return (tf.nn.relu(tf.nn.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3)[:, 0]

    return lambda x: network(x).numpy()


def main() -> None:
    """Prints times and attributions as JSON."""
    model_dir, data_file = sys.argv[1:]
    data = np.load(data_file)
    background, rows = data["background"], data["rows"]
    call = load(Path(model_dir))
    calls = [0]

    def model(x: np.ndarray) -> np.ndarray:
        calls[0] += len(x)
        return call(np.asarray(x, np.float32))

    masker = shap.maskers.Independent(background, max_samples=len(background))
    d = background.shape[1]
    permutation = shap.PermutationExplainer(model, masker, seed=0)
    kernel = shap.KernelExplainer(model, background)
    sampling = shap.SamplingExplainer(model, background)

    def by_permutation(evaluations: int, x: np.ndarray) -> np.ndarray:
        return permutation(x, max_evals=evaluations, batch_size="auto", silent=True).values

    runs = {
        "shap Permutation, 1 permutation": lambda x: by_permutation(2 * d + 1, x),
        "shap Permutation, 10 permutations": lambda x: by_permutation(10 * 2 * d + 1, x),
        f"shap Kernel, {20 * d} coalitions": lambda x: kernel.shap_values(
            x, nsamples=20 * d, l1_reg=False, silent=True
        ),
        f"shap Kernel, {2 * d + 2048} coalitions": lambda x: kernel.shap_values(
            x, nsamples=2 * d + 2048, l1_reg=False, silent=True
        ),
        "shap Sampling, default": lambda x: sampling.shap_values(x, silent=True),
    }
    results = {}
    for name, run in runs.items():
        run(rows[:2])
        calls[0] = 0
        values, seconds = None, []
        # Five times, as far as that takes a few seconds only.
        while len(seconds) < 5 and sum(seconds) * len(rows) < 3:
            started = time.perf_counter()
            found = np.asarray(run(rows))
            seconds.append((time.perf_counter() - started) / len(rows))
            values = found if values is None else values
        results[name] = {
            "seconds_per_row": seconds,
            "values": values.reshape(len(rows), d).tolist(),
            "model_rows": calls[0] / len(rows) / len(seconds),
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
