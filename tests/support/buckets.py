"""Servers of buckets on this machine, each a process on a port of its own: S3, and Google Cloud Storage's JSON API.

The libraries are told where they are by environment variables, as users of such servers tell them.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence

import fsspec
import pytest

BUCKET = "tests"
_SECONDS_TO_START = 60.0


@contextlib.contextmanager
def s3() -> Iterator[str]:
    """An S3 server with one bucket, while this lasts; gives the bucket's URI."""
    with (
        _serving(["-m", "moto.server", "-H", "127.0.0.1", "-p", "{port}"], "/") as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }.items():
            patch.setenv(name, value)
        yield _with_bucket("s3")


@contextlib.contextmanager
def gcs() -> Iterator[str]:
    """A server of Google Cloud Storage's API with one bucket, while this lasts; gives the bucket's URI."""
    start = ["-m", "gcp_storage_emulator", "start", "--in-memory", "--quiet", "--host=127.0.0.1", "--port={port}"]
    with _serving(start, "/") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        # The emulator has the JSON API alone; what else its library would ask about a bucket goes elsewhere.
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        # Without credentials their library would look for those of the machine it is on.
        patch.setitem(fsspec.config.conf, "gcs", {"token": "anon"})
        yield _with_bucket("gcs")


def _with_bucket(protocol: str) -> str:
    # An earlier server had another port.
    fsspec.get_filesystem_class(protocol).clear_instance_cache()
    filesystem = fsspec.filesystem(protocol, use_listings_cache=False)
    filesystem.mkdir(BUCKET)
    return f"{'gs' if protocol == 'gcs' else protocol}://{BUCKET}"


@contextlib.contextmanager
def _serving(command: Sequence[str], health: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Python's path is this process's, which has the tests' support, whose names are not the server's.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, *(part.format(port=port) for part in command)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url + health, server)
        yield url
    finally:
        server.kill()
        server.wait()


def _await(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer: {server.args}")
