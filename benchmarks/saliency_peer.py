"""saliency's side of xrai_vs_saliency.py; runs in the environment of the peers."""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from saliency.core import INPUT_OUTPUT_GRADIENTS, XRAI, XRAIParameters

N_TURNS = 3


def main() -> None:
    """Writes maps, and prints the time as JSON."""
    scratch, n_cases, n_steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    given, network = np.load(scratch / "data.npz"), tf.keras.models.load_model(scratch / "network.keras")
    images, explainer = given["images"], XRAI()

    @tf.function
    def gradients(points: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = tf.gather(network(points), output, axis=1)
        return tape.gradient(score, points)

    def call(points: np.ndarray, call_model_args: int, expected_keys: object) -> dict:
        points = tf.constant(points.astype(np.float32))
        return {INPUT_OUTPUT_GRADIENTS: gradients(points, tf.constant(call_model_args)).numpy()}

    written = {}
    for number in range(n_cases):
        starts, pixels, base = (given[f"{name}_{number}"] for name in ("starts", "pixels", "base"))
        masks = np.zeros((len(starts) - 1, base.size), bool)
        for mask, start, end in zip(masks, starts[:-1], starts[1:], strict=True):
            mask[pixels[start:end]] = True
        for algorithm in ("full", "fast"):
            parameters = XRAIParameters(algorithm=algorithm, return_xrai_segments=True)
            parameters.experimental_params["min_pixel_diff"] = int(given[f"min_new_pixels_{number}"])
            result = explainer.GetMaskWithDetails(
                np.zeros(base.shape),
                call,
                segments=list(masks.reshape(-1, *base.shape)),
                base_attribution=base,
                extra_parameters=parameters,
            )
            written[f"{algorithm}_heat_{number}"] = result.attribution_mask
            written[f"{algorithm}_ranks_{number}"] = result.segments
    seconds, bases = [], []
    for turn in range(N_TURNS + 1):
        for image, base in zip(images, given["attributions"], strict=True):
            started = time.perf_counter()
            explainer.GetMask(image, call, base_attribution=np.repeat(base[:, :, None], 3, axis=2))
            if turn:
                seconds.append(time.perf_counter() - started)
    for number, image in enumerate(images):
        parameters = XRAIParameters(steps=n_steps, return_ig_attributions=True)
        details = explainer.GetMaskWithDetails(image, call, number, batch_size=50, extra_parameters=parameters)
        bases.append(np.mean(details.ig_attribution, axis=0).max(axis=-1))
    np.savez(scratch / "theirs.npz", bases=np.stack(bases), **written)
    print(json.dumps({"seconds": round(statistics.median(seconds), 3)}))


if __name__ == "__main__":
    main()
