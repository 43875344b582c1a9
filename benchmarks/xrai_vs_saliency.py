"""Regions of photographs against PAIR's saliency: the same ranks and values, the time besides gradients, and gradients.

A small network is trained to tell from crops which photograph of scikit-image they are of, and explained on whole
photographs of 224 x 224 pixels. Given the same regions and attributions of pixels, among them ones with many ties, both
sides rank and paint; then both find regions and rank them, and the times are compared (medians of turns, warmed up).
Last, how many gradients a map takes: integrals along the paths from black and from white, by the midpoint rule with
few steps here and by saliency's own 100 steps there, against 500 steps of the midpoint rule. Errors are relative L2,
worst and median of the photographs: of what the regions of the 500 steps are attributed; of the map of regions found
anew, where two whose means are next to each other may change places; and of the pixels before.

    python benchmarks/xrai_vs_saliency.py
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import peers
import tensorflow as tf
from skimage import data, transform

from tfx_explain.regions import Segments, find_segments, own_segments, rank_regions

SIDE = 224
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
N_CROPS = 32
N_TURNS = 5
N_STEPS = (8, 12, 16, 24, 32, 50)
N_STEPS_OF_TRUTH = 500
N_STEPS_OF_PEER = 100
BATCH = 50
WANTED_ERROR = 0.01


def photographs() -> np.ndarray:
    """(n, 224, 224, 3) from -1 to 1."""
    found = [transform.resize(getattr(data, name)(), (SIDE, SIDE), anti_aliasing=True) for name in PHOTOGRAPHS]
    return (2 * np.stack(found) - 1).astype(np.float32)


def train() -> tf.keras.Model:
    """A network that tells the photographs apart."""
    tf.keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    crops, classes = [], []
    for number, name in enumerate(PHOTOGRAPHS):
        whole = getattr(data, name)()
        for _ in range(N_CROPS):
            side = rng.integers(SIDE // 2, min(whole.shape[:2]))
            top, left = (rng.integers(0, length - side) for length in whole.shape[:2])
            crops.append(2 * transform.resize(whole[top : top + side, left : left + side], (SIDE, SIDE)) - 1)
            classes.append(number)
    layers = tf.keras.layers
    network = tf.keras.Sequential(
        [
            tf.keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.MaxPool2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPool2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(PHOTOGRAPHS)),
        ]
    )
    network.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    history = network.fit(np.stack(crops).astype(np.float32), np.array(classes), epochs=12, batch_size=16, verbose=0)
    print(f"network: accuracy {history.history['accuracy'][-1]:.0%} on {len(crops)} crops")
    return network


class Paths:
    """Integrals of the gradients of one output along the paths from black and white, by the midpoint rule."""

    def __init__(self, network: tf.keras.Model) -> None:
        self._network = network
        self._gradient = tf.function(self._summed, jit_compile=False)

    def _summed(self, points: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = tf.gather(self._network(points), output, axis=1)
        return tf.reduce_sum(tape.gradient(score, points), axis=0)

    def attribution(self, image: np.ndarray, output: int, n_steps: int) -> np.ndarray:
        """(224, 224) mean over both references, highest channel, as saliency takes it."""
        alphas = ((np.arange(n_steps) + 0.5) / n_steps).astype(np.float32)
        means = []
        for reference in (image.min(), image.max()):
            total = np.zeros(image.shape)
            for start in range(0, n_steps, BATCH):
                points = reference + alphas[start : start + BATCH, None, None, None] * (image - reference)
                total += self._gradient(tf.constant(points), tf.constant(output)).numpy()
            means.append(total * (image - reference) / n_steps)
        return np.mean(means, axis=0).max(axis=-1)


def cases(images: np.ndarray, attributions: list[np.ndarray]) -> list[tuple[str, Segments, np.ndarray]]:
    """Regions and attributions that both sides rank."""
    photograph = find_segments(images[0])
    of_pixels = {name: values / np.abs(values).max() for name, values in zip(PHOTOGRAPHS, attributions, strict=True)}
    own = np.add.outer(np.arange(SIDE) // 20 * 12, np.arange(SIDE) // 20)
    return [
        *((name, find_segments(image), of_pixels[name]) for name, image in zip(PHOTOGRAPHS, images, strict=True)),
        ("few values", photograph, np.round(20 * of_pixels["astronaut"])),
        ("few values, in tenths", photograph, 0.1 * np.round(20 * of_pixels["astronaut"])),
        ("constant", photograph, np.full((SIDE, SIDE), 0.1)),
        ("one colour", find_segments(np.full((SIDE, SIDE, 3), 0.5)), of_pixels["astronaut"]),
        ("squares of one's own", own_segments(own), of_pixels["astronaut"]),
    ]


def compare(found: list[tuple[str, Segments, np.ndarray]], theirs: dict[str, np.ndarray]) -> tuple[float, bool]:
    """Prints how far values are apart, and whether ranks are the same; returns the worst."""
    print(f"{'':<24}{'regions':>9}{'max diff':>12}{'same ranks':>12}{'fast: max diff':>16}{'same ranks':>12}")
    worst, same = 0.0, True
    for number, (name, segments, base) in enumerate(found):
        line = ""
        for kind in ("full", "fast"):
            ours = rank_regions(base, segments, fast=kind == "fast")
            apart = float(np.abs(ours.heat_map - theirs[f"{kind}_heat_{number}"]).max())
            equal = bool(np.array_equal(ours.labels + 1, theirs[f"{kind}_ranks_{number}"]))
            line += f"{apart:>{12 if kind == 'full' else 16}.1e}{equal!s:>12}"
            worst, same = max(worst, apart), same and equal
        print(f"{name:<24}{len(segments.members[0]) - 1:>9}{line}")
    return worst, same


def seconds_besides_gradients(images: np.ndarray, attributions: list[np.ndarray]) -> float:
    """Median over turns and photographs of finding regions and ranking them."""
    found = []
    for turn in range(N_TURNS + 1):
        for image, base in zip(images, attributions, strict=True):
            started = time.perf_counter()
            rank_regions(base, find_segments(image))
            if turn:
                found.append(time.perf_counter() - started)
    return statistics.median(found)


def few_gradients(paths: Paths, images: np.ndarray, theirs: dict[str, np.ndarray]) -> int:
    """Prints errors against numbers of gradients; returns from which number on the worst is 1 % or less."""
    segments = [find_segments(image) for image in images]

    def bases(n_steps: int) -> list[np.ndarray]:
        return [paths.attribution(image, number, n_steps) for number, image in enumerate(images)]

    true_bases = bases(N_STEPS_OF_TRUTH)
    true_regions = [rank_regions(base, found) for base, found in zip(true_bases, segments, strict=True)]

    def line(label: str, n_gradients: int, values: list[np.ndarray]) -> float:
        same, anew, pixels = [], [], []
        for base, truth, true_base, found in zip(values, true_regions, true_bases, segments, strict=True):
            painted = (truth.sums_of(base) / truth.pixels)[truth.labels]
            same.append(relative_error(painted, truth.heat_map))
            anew.append(relative_error(rank_regions(base, found).heat_map, truth.heat_map))
            pixels.append(relative_error(base, true_base))
        columns = "".join(f"{max(of):>9.2%} /{np.median(of):>6.2%}" for of in (same, anew, pixels))
        print(f"{label:<24}{n_gradients:>10}{columns}")
        return max(same)

    print(f"{'worst / median error of':<24}{'gradients':>10}{'same regions':>17}{'regions anew':>17}{'pixels':>17}")
    enough = 0
    for n_steps in N_STEPS:
        is_enough = line("midpoint", 2 * n_steps, bases(n_steps)) <= WANTED_ERROR
        enough = (enough or 2 * n_steps) if is_enough else 0
    line("saliency", 2 * N_STEPS_OF_PEER, list(theirs["bases"]))
    return enough


def relative_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """In L2."""
    return float(np.linalg.norm(estimate - truth) / np.linalg.norm(truth))


def main() -> None:
    """Prints the tables."""
    images, network = photographs(), train()
    paths = Paths(network)
    attributions = [paths.attribution(image, number, 50) for number, image in enumerate(images)]
    found = cases(images, attributions)
    with tempfile.TemporaryDirectory() as scratch:
        network.save(Path(scratch) / "network.keras")
        arrays = {"images": images, "attributions": np.stack(attributions)}
        for number, (_, segments, base) in enumerate(found):
            starts, pixels = segments.members
            arrays |= {f"starts_{number}": starts, f"pixels_{number}": pixels, f"base_{number}": base}
            arrays[f"min_new_pixels_{number}"] = np.array(segments.min_new_pixels)
        np.savez(Path(scratch) / "data.npz", **arrays)
        said = peers.run("saliency_peer.py", scratch, str(len(found)), str(N_STEPS_OF_PEER))
        theirs = dict(np.load(Path(scratch) / "theirs.npz"))
    worst, same = compare(found, theirs)
    ours = seconds_besides_gradients(images, attributions)
    print(f"besides gradients: {ours:.3f} s a photograph; saliency {said['seconds']:.3f} s")
    enough = few_gradients(paths, images, theirs)
    result = {"max_diff": worst, "same_ranks": same, "seconds": round(ours, 3), "peer_seconds": said["seconds"]}
    print(json.dumps(result | {"gradients_for_1_percent": enough, "peer_gradients": 2 * N_STEPS_OF_PEER}))


if __name__ == "__main__":
    main()
