import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which the package's wheel was installed: the one `make test` made, or else one of our own."""
    if "TFX_EXPLAIN_SITE" in os.environ:
        return Path(os.environ["TFX_EXPLAIN_SITE"])
    made = tmp_path_factory.mktemp("wheel") / "site"
    subprocess.run([ROOT / "tools/make_wheel", made], check=True, env={**os.environ, "PYTHON": sys.executable})
    return made
