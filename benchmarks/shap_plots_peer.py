"""Runs among the peers: draws each kind of plot of shap, and prints what came of it as JSON."""

import json
import os
import platform
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import shap

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "components"))
import tfx_explain


def main() -> None:
    """Takes the directory of an explanation of one output, and that of the pictures."""
    directory, pictures = sys.argv[1:]
    os.makedirs(pictures, exist_ok=True)
    explanation = tfx_explain.load(directory)
    given = explanation.to_shap()
    frame = explanation.attributions()
    gap = np.abs(given.base_values + given.values.sum(axis=1) - frame["prediction"].to_numpy()).max()
    draw = {
        "beeswarm": lambda: shap.plots.beeswarm(given, show=False),
        "bar": lambda: shap.plots.bar(given, show=False),
        "waterfall": lambda: shap.plots.waterfall(given[0], show=False),
        "heatmap": lambda: shap.plots.heatmap(given, show=False),
    }
    for player in given.feature_names:
        draw[f"scatter[{player}]"] = lambda player=player: shap.plots.scatter(given[:, player], color=given, show=False)
    sizes = {}
    for name, plot in draw.items():
        plot()
        path = Path(pictures, f"{name}.png")
        plt.savefig(path, bbox_inches="tight")
        plt.close("all")
        sizes[name] = path.stat().st_size
    about = {"shap": shap.__version__, "python": platform.python_version(), "gap": float(gap)}
    print(json.dumps({**about, "rows": len(frame), "players": len(given.feature_names), "pictures": sizes}))


if __name__ == "__main__":
    main()
