"""Programs of `docs/howto/interop.md`, and what they are tried on."""

from __future__ import annotations

from snippets import texts

PAGE = "docs/howto/interop.md"
N_EVAL = 24


def program(name: str) -> str:
    """A program of the page, by the file that it is."""
    return next(text for text in texts(PAGE, "python") if text.startswith(f"# {name}\n"))


def nameless_program() -> str:
    """The one that is no file."""
    return next(text for text in texts(PAGE, "python") if not text.startswith("# "))
