"""Stores of ML Metadata by their address, opened for reading alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from tfx_explain.audit import mysql_store, sqlite_store
from tfx_explain.errors import ConfigError, InputError

SCHEMA_VERSION = 10
"""Of the tables that are read here: what the ML Metadata of TFX 1.16 and of TFX 1.21 writes."""

_KINDS: dict[str, Callable[[str], AbstractContextManager[Queries]]] = {
    "sqlite": sqlite_store.opened,
    "mysql": mysql_store.opened,
}

Queries = Callable[[str], Sequence[tuple[Any, ...]]]
"""Gives the rows of a query; all queries see the store as it was at the first."""


class Store:
    """A store that was opened.

    Attributes:
      name: its address, without any secret.
      rows: the rows of a query.
    """

    def __init__(self, name: str, rows: Queries) -> None:
        self.name = name
        self.rows = rows


@contextlib.contextmanager
def opened(address: str) -> Iterator[Store]:
    """The store at an address.

    Args:
      address: `sqlite:FILE`, or `mysql://USER@HOST:PORT/DATABASE` with the password in an environment variable.

    Raises:
      ConfigError: it is no such address.
      InputError: there is no store, or it is locked, damaged, of another kind, or of a schema that is not read here.
    """
    kind, _, place = address.partition(":")
    if kind not in _KINDS or not place:
        _refuse()
    with _KINDS[kind](address) as rows:
        name = f"sqlite:{sqlite_store.path_of(address)}" if kind == "sqlite" else mysql_store.without_password(address)
        _check_schema(name, rows)
        yield Store(name, rows)


def _refuse() -> NoReturn:
    raise ConfigError(
        "a store of ML Metadata is `sqlite:FILE` or `mysql://USER@HOST:PORT/DATABASE`; name one of these."
    )


def _check_schema(name: str, rows: Queries) -> None:
    found = [version for (version,) in rows("SELECT schema_version FROM MLMDEnv")]
    if found != [SCHEMA_VERSION]:
        versions = ", ".join(map(str, found)) or "none"
        raise InputError(
            f"{name} has version {versions} of ML Metadata's schema, version {SCHEMA_VERSION} is read here; have the "
            "ml-metadata of its pipelines migrate it, or a copy of it."
        )
