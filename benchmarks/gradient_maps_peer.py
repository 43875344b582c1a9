"""saliency's side of gradient_maps_vs_saliency.py; runs in the environment of the peers."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from saliency.core import INPUT_OUTPUT_GRADIENTS, BlurIG, GradientSaliency, GuidedIG


def main() -> None:
    """Writes maps, and prints seconds per photograph as JSON."""
    scratch = Path(sys.argv[1])
    steps = {"guided_ig": int(sys.argv[2]), "blur_ig": int(sys.argv[3]), "smooth_grad": int(sys.argv[4])}
    images, network = np.load(scratch / "images.npy"), tf.keras.models.load_model(scratch / "network.keras")

    @tf.function
    def gradients(points: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = tf.gather(network(points), output, axis=1)
        return tape.gradient(score, points)

    def call(points: np.ndarray, call_model_args: int, expected_keys: object) -> dict:
        points = tf.constant(np.asarray(points, np.float32))
        return {INPUT_OUTPUT_GRADIENTS: gradients(points, tf.constant(call_model_args)).numpy()}

    def guided(image: np.ndarray, number: int) -> np.ndarray:
        baseline = np.full_like(image, image.min())
        return GuidedIG().GetMask(image, call, number, x_baseline=baseline, x_steps=steps["guided_ig"])

    def blurred(image: np.ndarray, number: int) -> np.ndarray:
        return BlurIG().GetMask(image, call, number, steps=steps["blur_ig"], batch_size=50)

    def smooth(image: np.ndarray, number: int) -> np.ndarray:
        return GradientSaliency().GetSmoothedMask(
            image, call, number, stdev_spread=0.2, nsamples=steps["smooth_grad"], magnitude=False
        )

    written, seconds = {}, {}
    for kind, make in (("guided_ig", guided), ("blur_ig", blurred), ("smooth_grad", smooth)):
        make(images[0], 0)
        started = time.perf_counter()
        written[kind] = np.stack([make(image, number) for number, image in enumerate(images)])
        seconds[kind] = round((time.perf_counter() - started) / len(images), 2)
    np.savez(scratch / "theirs.npz", **written)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
