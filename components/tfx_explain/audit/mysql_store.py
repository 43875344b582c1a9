"""A store in MySQL or MariaDB."""

from __future__ import annotations

import contextlib
import os
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from tfx_explain.errors import ConfigError, InputError
from tfx_explain.optional import optional

PASSWORD = "TFX_EXPLAIN_METADATA_PASSWORD"
"""Environment variable with the password; unset: none."""

_PORT = 3306
_PATIENCE_SECONDS = 10
_NO_TABLE, _NO_COLUMN, _NO_DATABASE, _DENIED = 1146, 1054, 1049, {1044, 1045, 1142, 1143, 1698}


def without_password(address: str) -> str:
    """The address as it may be shown: user, host, port and database."""
    parts = _parts(address)
    return f"mysql://{parts['user']}@{parts['host']}:{parts['port']}/{parts['database']}"


@contextlib.contextmanager
def opened(address: str) -> Iterator[Callable[[str], Sequence[tuple[Any, ...]]]]:
    """What answers queries to the database, within one transaction that the server holds to reading.

    Raises:
      ConfigError: the address is not understood, or PyMySQL is absent.
      InputError: the server does not answer, refuses the user, or has no such store.
    """
    parts, name = _parts(address), without_password(address)
    driver = optional("pymysql", "Stores in MySQL need", "tfx-explain[mysql]")
    with _sentences(driver, name):
        connection = driver.connect(
            **parts,
            password=os.environ.get(PASSWORD, ""),
            connect_timeout=_PATIENCE_SECONDS,
            charset="utf8mb4",
            autocommit=True,
        )
    with contextlib.closing(connection):

        def rows(query: str) -> Sequence[tuple[Any, ...]]:
            with _sentences(driver, name), connection.cursor() as cursor:
                cursor.execute(query)
                return tuple(cursor.fetchall())

        rows("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        yield rows


def _parts(address: str) -> dict[str, Any]:
    """What the driver connects with.

    Raises:
      ConfigError: it is no such address; a password in it is not repeated.
    """
    try:
        url = urllib.parse.urlsplit(address)
        port = url.port or _PORT
        options = urllib.parse.parse_qs(url.query, strict_parsing=bool(url.query))
    except ValueError:
        raise ConfigError(_WRONG) from None
    if url.password is not None:
        raise ConfigError(
            "a password in the address of a store can be read by others; put it into the environment variable "
            f"{PASSWORD}."
        )
    database = urllib.parse.unquote(url.path.removeprefix("/"))
    if not url.hostname or not url.username or not database or "/" in database or set(options) - {"ssl_ca"}:
        raise ConfigError(_WRONG)
    parts = {"host": url.hostname, "port": port, "user": urllib.parse.unquote(url.username), "database": database}
    return parts | {name: values[-1] for name, values in options.items()}


_WRONG = (
    "a store in MySQL is `mysql://USER@HOST:PORT/DATABASE`, where `?ssl_ca=FILE` may follow; its password is in the "
    f"environment variable {PASSWORD}."
)


@contextlib.contextmanager
def _sentences(driver: ModuleType, name: str) -> Iterator[None]:
    try:
        yield
    except (driver.err.Error, RuntimeError, OSError) as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        raise InputError(_sentence(code, str(error.args[-1] if error.args else error), name)) from error


def _sentence(code: int, said: str, name: str) -> str:
    if code in (_NO_TABLE, _NO_COLUMN):
        return f"{name} is no complete store of ML Metadata ({said}); name the database that pipelines write."
    if code == _NO_DATABASE:
        return f"{name} is no database ({said}); name the one that pipelines write."
    if code in _DENIED:
        return f"{name} may not be read ({said}); set {PASSWORD}, and grant the user SELECT."
    return f"{name} does not answer ({said}); see whether the server runs and can be reached from here."
