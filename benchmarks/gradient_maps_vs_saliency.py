"""Maps of guided and blurred paths and of SmoothGrad against PAIR's saliency, on photographs of 224 x 224 pixels.

The network and the photographs are those of xrai_vs_saliency.py. Both sides take as many gradients of a path from
black (guided), from the blurred image, and of as many noisy copies. Printed are, over the photographs: the correlation
of both maps, channels added up (of SmoothGrad their sizes); how far each side's sums are from the difference of the
outputs at both ends, as a part of its size; and seconds a photograph. Blurs differ: saliency goes on with zeros at the
edges, here the image goes on as its mirror image. Each side's own blurred image is where its way starts.

    python benchmarks/gradient_maps_vs_saliency.py
"""

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import peers
import tensorflow as tf
from scipy import ndimage
from xrai_vs_saliency import photographs, train

from tfx_explain.config.xrai import XraiConfig
from tfx_explain.methods.path_gradients.rows import AskedSide
from tfx_explain.methods.xrai.crooked import guided, through_blurs
from tfx_explain.methods.xrai.noisy import around
from tfx_explain.methods.xrai.pixels import Pictures
from tfx_explain.models.path_gradients import Points

STEPS = {"guided_ig": 192, "blur_ig": 96, "smooth_grad": 50}
MAX_SIGMA = 50.0
CALL = 16


class Paths:
    """A network whose only input is an image, as methods that follow paths ask for it."""

    note, n_players, rows_per_call = "", 1, CALL

    def __init__(self, network: tf.keras.Model, shape: tuple[int, ...]) -> None:
        self._network, self._shape = network, shape
        self._gradient = tf.function(self._of_outputs)

    def _of_outputs(self, points: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = tf.gather(self._network(points), outputs, axis=1, batch_dims=1)
        return tape.gradient(score, points)

    def columns(self, player: int) -> np.ndarray:
        return np.arange(np.prod(self._shape))

    def pictures(self, points: Points, player: int) -> np.ndarray:
        return points.moving.reshape(-1, *self._shape)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        return self._network(images.reshape(-1, *self._shape).astype(np.float32)).numpy().astype(np.float64)

    def values(self, starts: Points, ends: Points, alphas: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self.outputs(starts.moving), outputs, axis=1)[:, None]

    def gradients(self, points: Points, outputs: np.ndarray) -> np.ndarray:
        images, made = points.moving.reshape(-1, *self._shape), []
        for start in range(0, len(images), CALL):
            part = slice(start, start + CALL)
            made.append(self._gradient(tf.constant(images[part]), tf.constant(outputs[part])).numpy())
        return np.concatenate(made).reshape(len(images), -1, 1).astype(np.float64)


def ours(network: tf.keras.Model, images: np.ndarray) -> tuple[dict, dict, dict]:
    """Maps (n, H, W, 3), gaps as parts of the difference, and seconds, by kind."""
    n, paths = len(images), Paths(network, images.shape[1:])
    flat, outputs = images.reshape(n, -1), np.arange(n)[:, None]
    predicted = np.take_along_axis(paths.outputs(images), outputs, axis=1)
    maps, gaps, seconds = {}, {}, {}
    for kind in STEPS:
        more = {"num_samples": STEPS[kind]} if kind == "smooth_grad" else {"num_steps": STEPS[kind]}
        settings = XraiConfig(feature="image", gradients=kind, **more)
        found = []
        started = time.perf_counter()
        for row in range(n):
            black = np.full_like(flat[row : row + 1], flat[row].min())
            base = np.take_along_axis(paths.outputs(black), outputs[row : row + 1], axis=1)
            asked = AskedSide(outputs[row : row + 1], predicted[row : row + 1], base, np.full((1, 1), 1e-6))
            one = Pictures(
                paths,
                Points(black, ()),
                Points(flat[row : row + 1], ()),
                np.ones(1),
                asked,
                np.array([row], np.uint64),
                0,
            )
            if kind == "smooth_grad":
                found.append(around(one, settings, 0))
            else:
                found.append((guided if kind == "guided_ig" else through_blurs)(one, settings))
        seconds[kind] = round((time.perf_counter() - started) / n, 2)
        maps[kind] = np.stack([one.pixels[0].mean(axis=0).reshape(images.shape[1:]) for one in found])
        if kind != "smooth_grad":
            base = np.concatenate([one.base_value for one in found])
            gaps[kind] = relative_gap(maps[kind], predicted - base)
    return maps, gaps, seconds


def relative_gap(maps: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """(n,) how far sums are from the differences (n, 1) of the outputs."""
    return np.abs(maps.sum(axis=(1, 2, 3)) - differences[:, 0]) / np.abs(differences[:, 0])


def their_gaps(network: tf.keras.Model, images: np.ndarray, maps: dict) -> dict:
    """The same of saliency's maps."""
    paths, numbers = Paths(network, images.shape[1:]), np.arange(len(images))
    at = {
        "guided_ig": np.stack([np.full_like(image, image.min()) for image in images]),
        "blur_ig": np.stack(
            [ndimage.gaussian_filter(image, (MAX_SIGMA, MAX_SIGMA, 0), mode="constant") for image in images]
        ),
    }
    end = paths.outputs(images)[numbers, numbers]
    return {
        kind: relative_gap(maps[kind], (end - paths.outputs(starts)[numbers, numbers])[:, None])
        for kind, starts in at.items()
    }


def main() -> None:
    """Prints the table."""
    images, network = photographs(), train()
    with tempfile.TemporaryDirectory() as scratch:
        network.save(Path(scratch) / "network.keras")
        np.save(Path(scratch) / "images.npy", images)
        their_seconds = peers.run("gradient_maps_peer.py", scratch, *(str(n) for n in STEPS.values()))
        theirs = dict(np.load(Path(scratch) / "theirs.npz"))
    maps, gaps, seconds = ours(network, images)
    of_peer = their_gaps(network, images, theirs)
    result = {}
    print(
        f"{'':<14}{'gradients':>10}{'correlation':>20}{'worst gap':>12}{'saliency':>10}{'seconds':>10}{'saliency':>10}"
    )
    for kind, n_steps in STEPS.items():
        their_map = np.abs(theirs[kind]) if kind == "smooth_grad" else theirs[kind]
        flat = [values.sum(axis=-1).reshape(len(images), -1) for values in (maps[kind], their_map)]
        alike = [float(np.corrcoef(first, second)[0, 1]) for first, second in zip(*flat, strict=True)]
        worst = [f"{of[kind].max():.2%}" if kind in of else "" for of in (gaps, of_peer)]
        print(
            f"{kind:<14}{n_steps:>10}{min(alike):>10.3f} to {max(alike):.3f}{worst[0]:>12}{worst[1]:>10}"
            f"{seconds[kind]:>10}{their_seconds[kind]:>10}"
        )
        result[kind] = {"correlation": round(min(alike), 3), "gap": worst[0], "peer_gap": worst[1]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
