"""Other explainers live in an environment of their own: they do not install beside TFX.

`run(program, *arguments)` runs a program of this folder there and returns the JSON that it prints last. The environment
(`.cache/peers`) is made when it is first needed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_ENVIRONMENT = ROOT / ".cache" / "peers"
_UV = ROOT / ".cache" / "uv" / "bin" / "uv"
# The newest shap for this Python, and the TensorFlow that TFX 1.16 uses, so that both sides call the same model alike.
_PACKAGES = (
    "shap==0.49.1",
    "sage-importance==0.0.5",
    "saliency==0.2.1",
    "scikit-image==0.25.2",
    "tensorflow-cpu==2.16.2",
    "scikit-learn==1.5.1",
    "numpy<2",
)


def _python() -> Path:
    python, complete, packages = _ENVIRONMENT / "bin" / "python", _ENVIRONMENT / "complete", "\n".join(_PACKAGES)
    if not complete.exists() or complete.read_text() != packages:
        print("making the environment of the peers (once) ...", file=sys.stderr)
        base = ROOT / ".venv" / "bin" / "python"
        subprocess.run([_UV, "venv", "-q", "--clear", "--python", base, _ENVIRONMENT], check=True)
        command = [_UV, "pip", "install", "-q", "--compile-bytecode", "--python", python, *_PACKAGES]
        subprocess.run(command, check=True)
        complete.write_text(packages)
    return python


def run(program: str, *arguments: str) -> Any:
    """Runs `benchmarks/<program>` among the peers."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [_python(), ROOT / "benchmarks" / program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])
