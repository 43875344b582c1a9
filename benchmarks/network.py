"""The network that benchmarks explain: 30 features, 64-32-1, trained on the breast cancer data of scikit-learn.

Saved three times over: `raw` takes 30 named tensors, `serving_default` serialized tf.Examples, and both give the logit;
`chance` takes 30 tensors and gives the probability.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf
from sklearn.datasets import load_breast_cancer

from tfx_explain import records

N_FEATURES = 30
NAMES = [f"x{i:02d}" for i in range(N_FEATURES)]


def features() -> np.ndarray:
    """All 569 rows, standardised, in an order of their own; (n, 30) float32."""
    data = load_breast_cancer()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    return x[np.random.default_rng(0).permutation(len(x))].astype(np.float32)


def labels() -> np.ndarray:
    """The class of each of `features()`, 0 or 1; (n,)."""
    target = load_breast_cancer().target
    return target[np.random.default_rng(0).permutation(len(target))]


def train_and_save(directory: Path) -> None:
    """Trains the network and saves it."""
    data = load_breast_cancer()
    x = ((data.data - data.data.mean(0)) / data.data.std(0)).astype(np.float32)
    tf.keras.utils.set_random_seed(0)
    network = tf.keras.Sequential(
        [
            tf.keras.Input((N_FEATURES,)),
            tf.keras.layers.Dense(64, "relu"),
            tf.keras.layers.Dense(32, "relu"),
            tf.keras.layers.Dense(1),
        ]
    )
    network.compile("adam", tf.keras.losses.BinaryCrossentropy(from_logits=True))
    network.fit(x, data.target, epochs=15, batch_size=32, verbose=0)
    archive = tf.keras.export.ExportArchive()
    archive.track(network)

    def from_tensors(**columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"score": network(tf.stack([columns[name] for name in NAMES], axis=1))}

    def chance(**columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"chance": tf.sigmoid(from_tensors(**columns)["score"])}

    def from_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}
        return from_tensors(**tf.io.parse_example(examples, spec))

    tensors = {name: tf.TensorSpec([None], tf.float32, name=name) for name in NAMES}
    module = tf.Module()
    module.network = network
    module.raw = tf.function(from_tensors).get_concrete_function(**tensors)
    module.chance = tf.function(chance).get_concrete_function(**tensors)
    module.serve = tf.function(from_examples).get_concrete_function(tf.TensorSpec([None], tf.string, name="examples"))
    signatures = {"raw": module.raw, "chance": module.chance, "serving_default": module.serve}
    tf.saved_model.save(module, str(directory), signatures=signatures)
    np.savez(directory / "weights.npz", *[weight.numpy() for weight in network.weights])


def noisy_rows(n_rows: int, seed: int) -> np.ndarray:
    """Rows drawn from the data with a little noise, (n_rows, 30) float32."""
    rng = np.random.default_rng(seed)
    x = features()
    return x[rng.integers(len(x), size=n_rows)] + 0.1 * rng.normal(size=(n_rows, N_FEATURES)).astype(np.float32)


def write_examples(directory: Path, n_rows: int, seed: int) -> None:
    """`noisy_rows` as gzipped TFRecords of tf.Examples."""
    rows = noisy_rows(n_rows, seed)
    columns = [pa.array(list(column[:, None]), pa.large_list(pa.float32())) for column in rows.T]
    directory.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(directory / "data-00000-of-00001.gz"), "GZIP") as writer:
        for record in records.encode_examples(pa.RecordBatch.from_arrays(columns, names=NAMES)):
            writer.write(record)
