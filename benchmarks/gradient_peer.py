"""shap's side of path_gradients.py; runs in the environment of the peers."""

import json
import sys
import time

import numpy as np
import shap
import tensorflow as tf

N_TURNS = 3


def main() -> None:
    """Prints times and attributions as JSON."""
    model_dir, data_file = sys.argv[1:]
    data = np.load(data_file)
    background, rows = data["background"], data["rows"]
    weights = list(np.load(f"{model_dir}/weights.npz").values())
    layers = [tf.keras.layers.Dense(64, "relu"), tf.keras.layers.Dense(32, "relu"), tf.keras.layers.Dense(1)]
    network = tf.keras.Sequential([tf.keras.Input((background.shape[1],)), *layers])
    network.set_weights(weights)
    explainer = shap.GradientExplainer(network, background)
    results = {}
    for n_samples in (200, 1_600):
        explainer.shap_values(rows[:2], nsamples=n_samples, rseed=0)
        seconds, values = [], np.zeros(0)
        for turn in range(N_TURNS):
            started = time.perf_counter()
            values = np.asarray(explainer.shap_values(rows, nsamples=n_samples, rseed=turn))
            seconds.append((time.perf_counter() - started) / len(rows))
        results[f"shap GradientExplainer, {n_samples:,} samples"] = {
            "seconds_per_row": sorted(seconds)[len(seconds) // 2],
            "values": values.reshape(len(rows), -1).tolist(),
            "gradients": n_samples,
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
