"""shap's own plots of `tfx_explain.load(...).to_shap()`, with today's shap in an environment of its own.

python benchmarks/shap_plots.py                     of the explanation that the tests keep
python benchmarks/shap_plots.py DIRECTORY PICTURES  of another one; pictures go to a directory
"""

import sys
import tempfile

import peers

KEPT = peers.ROOT / "tests" / "fixtures" / "explanation_format_2" / "explanation"


def main() -> None:
    """Prints the version of shap, and how large each picture is."""
    explanation = sys.argv[1] if len(sys.argv) > 1 else str(KEPT)
    with tempfile.TemporaryDirectory() as directory:
        pictures = sys.argv[2] if len(sys.argv) > 2 else directory
        made = peers.run("shap_plots_peer.py", explanation, pictures, environment=peers.SHAP)
    print(f"shap {made['shap']} on Python {made['python']}: {made['rows']} rows, {made['players']} players")
    print(f"largest |base value + values - prediction|: {made['gap']:.1e}")
    for name, n_bytes in made["pictures"].items():
        print(f"shap.plots.{name}: a picture of {n_bytes:,} bytes")


if __name__ == "__main__":
    main()
