"""Rows that a model is asked about are counted where they are evaluated."""

import numpy as np

from tfx_explain.models import Tally, load_module_model

COUNTING = """
import numpy as np
FEATURES = {name: "float32" for name in "abcdef"}
def load_model(model_dir):
    def call(columns):
        with open(model_dir + "/seen", "a") as file:
            file.write(f"{len(columns['a'])}\\n")
        return sum(columns.values())
    return call
"""


def test_mixtures_that_are_one_row_count_once_and_padding_apart(tmp_path, tools):
    """Rows of zeros and ones agree in half of their features, so one mixture in eight is a row of its own."""
    (tmp_path / "module.py").write_text(COUNTING)
    model = load_module_model(str(tmp_path / "module.py"), str(tmp_path))
    data = tools.Data(dict.fromkeys("abcdef", ("float", 1, 1, 0)))
    rng = np.random.default_rng(0)
    rows = [dict(zip("abcdef", [[float(v)] for v in row], strict=True)) for row in rng.integers(0, 2, (134, 6))]
    examples, background = (model.inputs(data.batch(some)) for some in (rows[:6], rows[6:]))
    coalitions = ((np.arange(1, 63)[:, None] >> np.arange(6)) & 1).astype(bool)

    class Blocks:
        background_index = np.arange(128, dtype=np.int32)[:, None]
        background_weight = np.ones((128, 1))

    Blocks.coalitions = np.broadcast_to(coalitions, (128, *coalitions.shape))
    (tmp_path / "seen").unlink()
    tally = Tally()
    model.block_values(examples, background, [[name] for name in "abcdef"], Blocks(), tally=tally)
    evaluated = sum(int(line) for line in (tmp_path / "seen").read_text().split())
    assert tally.rows + tally.padding == evaluated
    bits = np.array([[row[name][0] for name in "abcdef"] for row in rows])
    n_differing = (bits[:6, None] != bits[6:]).sum(axis=2)
    # No coalition is empty or full, so where all players differ these two rows are not asked for.
    assert tally.rows == (2**n_differing - 2 * (n_differing == 6)).sum()
