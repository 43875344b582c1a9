"""A store in a real server: `make mysql-test` unpacks one; it is started here, in a directory of its own."""

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

import audited
from tfx_explain.audit import mysql_store

ROOT = os.environ.get("TFX_EXPLAIN_MYSQL")
pytestmark = pytest.mark.skipif(ROOT is None, reason="no server of MySQL; make mysql-test unpacks one")

USERS = """
FLUSH PRIVILEGES;
CREATE DATABASE metadata;
CREATE DATABASE other;
CREATE USER writer@'127.0.0.1' IDENTIFIED BY 'ink';
GRANT ALL ON *.* TO writer@'127.0.0.1';
CREATE USER auditor@'127.0.0.1' IDENTIFIED BY 'glass';
GRANT SELECT ON metadata.* TO auditor@'127.0.0.1';
GRANT SELECT ON other.* TO auditor@'127.0.0.1';
CREATE USER guest@'127.0.0.1' IDENTIFIED BY 'glass';
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    base, directory, number = Path(str(ROOT)) / "usr", tmp_path_factory.mktemp("mysql"), free_port()
    (directory / "data").mkdir()
    libraries = ":".join(map(str, (base / "lib").glob("*-linux-gnu")))
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
    command = [
        str(base / "sbin/mariadbd"), "--no-defaults", f"--basedir={base}", f"--datadir={directory / 'data'}",
        f"--lc-messages-dir={base / 'share/mysql'}", f"--user={Path.home().owner()}",
    ]  # fmt: skip
    tables = "".join((base / "share/mysql" / f"mysql_system_tables{name}.sql").read_text() for name in ("", "_data"))
    start = f"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n{tables}{USERS}"
    subprocess.run([*command, "--bootstrap"], input=start, text=True, env=environment, check=True, capture_output=True)
    with (directory / "log").open("w") as log:
        place = [f"--port={number}", "--bind-address=127.0.0.1", f"--socket={directory / 'socket'}"]
        server = subprocess.Popen(
            [*command, *place, "--skip-name-resolve"], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", number), 1):
                break
            time.sleep(0.1)
        yield number
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def runs(port: int, history: Any) -> int:
    """The runs of the file, recorded in the server by ML Metadata's own client."""
    config = mlmd.ConnectionConfig()
    where = {"host": "127.0.0.1", "port": port, "database": "metadata", "user": "writer", "password": "ink"}
    for name, value in where.items():
        setattr(config.mysql, name, value)
    recorder = audited.Recorder(config)
    for name, pushed in (("bad", False), ("good", True)):
        manifest = json.loads(history.place(name, "explanation/manifest.json").read_text())
        rule = history.policies[name]
        audited.record_run(recorder, history.root / name, history.verdicts[name], manifest, rule, pushed=pushed)
    return port


@pytest.fixture
def auditor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mysql_store.PASSWORD, "glass")


def test_a_user_who_may_only_read_gets_the_answers_of_the_file(
    runs: int, auditor: None, ask: Any, history: Any
) -> None:
    code, text = ask("--format", "json", "--verify", metadata=f"mysql://auditor@127.0.0.1:{runs}/metadata")
    bad, good = json.loads(text)["cases"]
    _, known, pushed, _ = json.loads(ask("--format", "json")[1])["cases"]
    for case in (bad, good, known, pushed):
        for part in ("explanation", "verdict"):
            case[part].pop("created")
    assert (bad["explanation"] | {"spans": ["2"]}, bad["verdict"]) == (known["explanation"], known["verdict"])
    assert good["verdict"] == pushed["verdict"]
    states = {one["state"] for one in json.loads(text)["checks"] if not one["uri"].startswith("/serving/")}
    assert (code, states) == (0, {"unchanged"})


def dump(port: int) -> list[Any]:
    """Every row of every table."""
    import pymysql

    connection = pymysql.connect(host="127.0.0.1", port=port, user="writer", password="ink", database="metadata")
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        rows = []
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT * FROM `{table}`")
            rows.append((table, sorted(map(repr, cursor.fetchall()))))
        return rows


def test_the_server_is_never_written(runs: int, ask: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(mysql_store.PASSWORD, "ink")
    before, store = dump(runs), f"mysql://writer@127.0.0.1:{runs}/metadata"
    assert ask("--log", str(tmp_path / "log"), metadata=store)[0] == 0
    assert f'"store": "{store}"' in (tmp_path / "log").read_text()
    assert dump(runs) == before
    with mysql_store.opened(store) as rows, pytest.raises(Exception, match="READ ONLY transaction"):
        rows("DELETE FROM Artifact")


@pytest.mark.parametrize(
    ("user", "database", "said"),
    [
        ("auditor", "other", "is no complete store of ML Metadata"),
        ("auditor", "none", "may not be read"),
        ("writer", "metadata", "may not be read"),
        ("guest", "metadata", "may not be read"),
    ],
)
def test_what_is_no_store_or_may_not_be_read_is_one_sentence(
    user: str, database: str, said: str, runs: int, auditor: None, ask: Any
) -> None:
    code, text = ask(metadata=f"mysql://{user}@127.0.0.1:{runs}/{database}")
    assert (code, said in text, "glass" in text) == (2, True, False), text
