"""What regions as players cost: images per second, and how near that is to the model's own forward pass.

Explained is a network of three convolutions without training, behind a serving graph that decodes files of any size and
brings them to a square. Its regions are found by colours, and mixtures are made past the decoding; or rows bring masks
of as many regions along, and each mixture is written as a file. Each job runs with few images and with more; what the
first cost is taken off. The limit is the model's forward pass from pixels, at its best batch size, at the number of
model rows that the job took for an image.

    python benchmarks/image_parts_throughput.py
    python benchmarks/image_parts_throughput.py --sides 32 --images 4 12     quicker
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tfx_explain import api

SEGMENTS = 50
BATCH_SIZES = (32, 128, 512)


def photographs(n: int, side: int) -> list[np.ndarray]:
    """Crops of photographs, side x side x 3 bytes."""
    from PIL import Image
    from skimage import data

    wholes = [getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")]
    rng, made = np.random.default_rng(0), []
    for i in range(n):
        whole = wholes[i % len(wholes)]
        length = int(rng.integers(200, 300))
        top, left = (int(rng.integers(0, size - length + 1)) for size in whole.shape[:2])
        made.append(np.asarray(Image.fromarray(whole[top : top + length, left : left + length]).resize((side, side))))
    return made


def save_model(directory: Path, side: int) -> Any:
    """A SavedModel, and its network from pixels to logits."""
    import tensorflow as tf

    layers, pixels = tf.keras.layers, tf.keras.Input((side, side, 3))
    x = pixels
    for width in (16, 32, 64):
        x = layers.Conv2D(width, 3, 2, "same", activation="relu")(x)
    network = tf.keras.Model(pixels, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    spec = tf.TensorSpec([side, side, 3], tf.float32)

    def one(file: tf.Tensor) -> tf.Tensor:
        decoded = tf.io.decode_image(file, channels=3, expand_animations=False)
        return tf.ensure_shape(tf.image.resize(tf.cast(decoded, tf.float32) / 255.0, [side, side]), spec.shape)

    class Served(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
            files = tf.io.parse_example(examples, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
            return {"logits": network(tf.map_fn(one, files, fn_output_signature=spec))}

    served = Served()
    served.network = network
    tf.saved_model.save(served, str(directory), signatures={"serving_default": served.serve})
    return network


def write_examples(directory: Path, pictures: list[np.ndarray], split: str) -> None:
    """Images with a mask of as many regions as are looked for, stripes."""
    import tensorflow as tf

    from tfx_explain.regions import encode_labels
    from tfx_explain.regions.written import png_file

    (directory / f"Split-{split}").mkdir(parents=True)
    with tf.io.TFRecordWriter(str(directory / f"Split-{split}" / "data-00000-of-00001.gz"), "GZIP") as writer:
        for picture in pictures:
            side = len(picture)
            mask = np.broadcast_to(np.arange(side * side).reshape(side, side) * SEGMENTS // (side * side), (side, side))
            values = {"image": png_file(picture, level=6), "mask": encode_labels(mask)}
            features = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])) for k, v in values.items()}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


def seconds(place: Path, n: int, parts: dict[str, Any]) -> tuple[float, int]:
    """What a job takes, and the model rows of it."""
    config = {
        "methods": [{"shapley": {"parts": {"image": parts}}}],
        "model": {"output_space": "raw", "classes": "predicted"},
        "background": {"num_rows": 4},
        "max_examples": n,
    }
    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        made = api.explain(
            model=str(place / "model"), examples=str(place / "examples"), output_dir=output, config=config
        )
        return time.perf_counter() - start, made.manifest["counts"]["eval"]["parts_model_rows"]


def forward_rows_per_second(network: Any, side: int) -> float:
    """At the best batch size."""
    import tensorflow as tf

    run = tf.function(network, jit_compile=True)
    best = 0.0
    for size in BATCH_SIZES:
        pixels = tf.random.uniform((size, side, side, 3))
        run(pixels)
        n, start = 0, time.perf_counter()
        while time.perf_counter() - start < 2.0:
            run(pixels).numpy()
            n += size
        best = max(best, n / (time.perf_counter() - start))
    return best


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 224])
    parser.add_argument("--images", type=int, nargs=2, default=[4, 20])
    options = parser.parse_args()
    few, many = options.images
    for side in options.sides:
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            network = save_model(place / "model", side)
            for split, n in (("train", 4), ("eval", many)):
                write_examples(place / "examples", photographs(n, side), split)
            limit = forward_rows_per_second(network, side)
            for what, parts in (("pixels", {"segments": SEGMENTS}), ("files", {"masks": "mask"})):
                # The first job also makes what the next ones find in the process.
                _, (first, rows_first), (last, rows_last) = (seconds(place, n, parts) for n in (few, few, many))
                images, rows = (many - few) / (last - first), (rows_last - rows_first) / (last - first)
                print(
                    f"{side} x {side}, {what}: {images:.2f} images a second, {rows:,.0f} model rows a second; the "
                    f"model alone {limit:,.0f} ({100 * rows / limit:.0f} %)"
                )


if __name__ == "__main__":
    main()
