"""What README and the pages of `docs/` show as code."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "kubeflow/README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: str, language: str = r"\w+") -> list[tuple[str, str]]:
    """Language and text of each block of code of a page, by its path from the root, in order."""
    return re.findall(
        rf"^```({language})\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def texts(page: str, language: str) -> list[str]:
    """The blocks of one language."""
    return [text for _, text in blocks(page, language)]


def commands(page: str) -> list[str]:
    """The lines of its blocks for a shell, without comments."""
    lines = (line.partition(" #")[0].strip() for text in texts(page, "bash") for line in text.split("\n"))
    return [line for line in lines if line]
