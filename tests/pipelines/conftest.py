"""Puts the pipelines on the import path, as their runners do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "pipelines"))
