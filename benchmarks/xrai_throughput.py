"""How near a whole job of XRAI comes to the model's bare gradient: 1,000 photographs of 64 x 64 pixels as PNG bytes.

Explained is a residual network of a million weights that is trained to tell crops of photographs of scikit-image and
scikit-learn apart, behind a serving graph that decodes PNG files. Jobs of 100 and 1,000 images run, each in a process
of its own; what the first 100 cost is taken off, so that images per second are those inside the job, with reading,
regions and records. The limit is the compiled gradient function by the pixels alone, at its best batch size and as it
is compiled best, before or after the jobs, at the number of gradients that these took per image. Printed too: the job's
peak memory, TensorFlow and Beam included, and the bytes of records per image, beside those of the image itself, which
they hold.

    python benchmarks/xrai_throughput.py
    python benchmarks/xrai_throughput.py --images 50 250     quicker
"""

import argparse
import io
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfx_explain import api  # imports what a run needs before the processes part ways

SIDE = 64
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "retina")
WIDTHS = (32, 64, 128)
BLOCKS = (2, 2, 3)
N_TRAIN = 600
N_BACKGROUND = 8
EPOCHS = 3
BATCH_SIZES = [2**k for k in range(4, 10)]
SECONDS_PER_BATCH_SIZE = 4.0
CONFIG = {
    "methods": [{"xrai": {"feature": "image"}}],
    "model": {"output_space": "raw", "classes": "predicted"},
    "background": {"num_rows": N_BACKGROUND},
    "max_examples": None,
}


def crops(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 64, 64, 3) bytes cut out of photographs, some mirrored, lighter or darker, and (n,) which one each is of."""
    from PIL import Image
    from skimage import data
    from sklearn.datasets import load_sample_images

    wholes = [getattr(data, name)() for name in PHOTOGRAPHS] + load_sample_images().images
    rng = np.random.default_rng(seed)
    classes, made = rng.integers(len(wholes), size=n), []
    for number in classes:
        whole = wholes[number]
        side = rng.integers(SIDE, min(whole.shape[:2]))
        top, left = (rng.integers(0, length - side + 1) for length in whole.shape[:2])
        crop = Image.fromarray(whole[top : top + side, left : left + side]).resize((SIDE, SIDE))
        pixels = np.asarray(crop, np.float64)[:, :: rng.choice([-1, 1])]
        made.append(np.clip(pixels * rng.uniform(0.7, 1.3) + rng.uniform(-20, 20), 0, 255).astype(np.uint8))
    return np.stack(made), classes


def residual_network(n_classes: int) -> Any:
    """From pixels (n, 64, 64, 3) in [0, 1] to logits."""
    import tensorflow as tf

    layers = tf.keras.layers

    def unit(x: Any, width: int, stride: int = 1) -> Any:
        return layers.BatchNormalization()(layers.Conv2D(width, 3, stride, "same", use_bias=False)(x))

    pixels = tf.keras.Input((SIDE, SIDE, 3))
    x = layers.ReLU()(unit(pixels, WIDTHS[0], 2))
    for width, n_blocks in zip(WIDTHS, BLOCKS, strict=True):
        for block in range(n_blocks):
            stride = 2 if block == 0 and width > WIDTHS[0] else 1
            same = x if stride == 1 else layers.Conv2D(width, 1, stride)(x)
            x = layers.ReLU()(same + unit(layers.ReLU()(unit(x, width, stride)), width))
    return tf.keras.Model(pixels, layers.Dense(n_classes)(layers.GlobalAveragePooling2D()(x)))


def train_and_save(root: Path) -> None:
    """Trains the network and saves it, for Keras and as a SavedModel."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    pixels, classes = crops(N_TRAIN, seed=0)
    network = residual_network(len(PHOTOGRAPHS) + 2)
    network.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    history = network.fit(pixels / np.float32(255), classes, epochs=EPOCHS, batch_size=32, verbose=0)
    print(f"network: {network.count_params():,} weights, accuracy {history.history['accuracy'][-1]:.0%} in training")
    network.save(root / "network.keras")

    def decoded(file: tf.Tensor) -> tf.Tensor:
        picture = tf.image.resize(tf.io.decode_image(file, channels=3, expand_animations=False), [SIDE, SIDE])
        return picture / 255.0

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        files = tf.io.parse_example(examples, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
        spec = tf.TensorSpec([SIDE, SIDE, 3], tf.float32)
        return {"logits": network(tf.map_fn(decoded, files, fn_output_signature=spec))}

    module = tf.Module()
    module.network, module.serve = network, serve
    tf.saved_model.save(module, str(root / "model"), signatures={"serving_default": serve})


def write_examples(directory: Path, n: int, seed: int) -> None:
    """Crops as PNG bytes in gzipped TFRecords."""
    import tensorflow as tf
    from PIL import Image

    directory.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(directory / "data-00000-of-00001.gz"), "GZIP") as writer:
        for pixels in crops(n, seed)[0]:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file.getvalue()]))
            writer.write(tf.train.Example(features=tf.train.Features(feature={"image": value})).SerializeToString())


def write_splits(directory: Path, n: int) -> None:
    """n images to explain, and some for the background."""
    write_examples(directory / "Split-train", 10 * N_BACKGROUND, seed=1)
    write_examples(directory / "Split-eval", n, seed=2)


def bare_gradients(root: Path) -> tuple[float, str]:
    """Gradients per second of the network alone, and how it was called."""
    import tensorflow as tf

    network = tf.keras.models.load_model(root / "network.keras")
    pixels, classes = crops(max(BATCH_SIZES), seed=3)

    def gradient(x: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.gather(network(x, training=False), chosen, batch_dims=1)
        return tape.gradient(score, x)

    best = (0.0, "")
    for compiled in (False, True):
        function = tf.function(gradient, jit_compile=compiled)
        for size in BATCH_SIZES:
            given = tf.constant(pixels[:size] / np.float32(255)), tf.constant(classes[:size])
            function(*given).numpy()
            n_calls, started = 0, time.perf_counter()
            while time.perf_counter() - started < SECONDS_PER_BATCH_SIZE:
                function(*given).numpy()
                n_calls += 1
            speed = n_calls * size / (time.perf_counter() - started)
            best = max(best, (speed, f"{size:,} rows a call, {'XLA' if compiled else 'not XLA'}"))
    return best


def job(root: Path, n: int) -> dict[str, float]:
    """Explains n images: seconds, gradients, peak memory in MiB, bytes of records, of these the images', and of all."""
    out = root / f"explained-{n}"
    started = time.perf_counter()
    done = api.explain(model=str(root / "model"), examples=str(root / str(n)), output_dir=str(out), config=CONFIG)
    seconds, counts = time.perf_counter() - started, done.manifest["counts"]["eval"]
    sizes = {file: file.stat().st_size for file in out.rglob("*") if file.is_file()}
    return {
        "seconds": seconds,
        "gradients": counts["xrai_gradient_rows"],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "record_bytes": sum(size for file, size in sizes.items() if out / "attributions" in file.parents),
        "image_bytes": sum(map(len, done.attributions()["image"])),
        "bytes": sum(sizes.values()),
    }


def in_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(work(*arguments)))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join()


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs=2, default=[100, 1_000])
    few, many = parser.parse_args().images
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        in_process(train_and_save, root)
        for n in (few, many):
            in_process(write_splits, root / str(n), n)
        before = in_process(bare_gradients, root)
        runs = {n: in_process(job, root, n) for n in (few, many)}
        bare, how = max(before, in_process(bare_gradients, root))
    print(f"bare gradient: {bare:,.0f} a second ({how}); before the jobs {before[0]:,.0f}")
    for n, run in runs.items():
        print(
            f"{n:>6,} images: {run['seconds']:>6.1f} s, {run['gradients'] / n:.1f} gradients an image, "
            f"{run['peak_mib']:,.0f} MiB at most, {run['bytes']:,} bytes written"
        )

    def of_one_more(name: str) -> float:
        return (runs[many][name] - runs[few][name]) / (many - few)

    written, own = of_one_more("record_bytes"), of_one_more("image_bytes")
    print(f"records: {written:,.0f} bytes an image, of which the image itself {own:,.0f}")
    images = 1 / of_one_more("seconds")
    limit = bare / of_one_more("gradients")
    print(f"in the job {images:.2f} images/s, by gradients alone {limit:.2f}: {images / limit:.0%}")
    result = {"of_bare": images / limit, "memory": runs[many]["peak_mib"] / runs[few]["peak_mib"]}
    print(json.dumps({**result, "explanation_bytes_per_image": round(written - own)}))


if __name__ == "__main__":
    main()
