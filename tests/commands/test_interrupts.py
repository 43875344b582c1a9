"""Ctrl-C ends the program soon and with one line, whatever it is at."""

import signal
import subprocess
import sys
from pathlib import Path

# Each is at something that does not end by itself while the test has patience, and would leave a file.
PROGRAM = """
import hashlib, pathlib, sys, threading, time
from tfx_explain import cli
from tfx_explain.unfinished import unfinished

def in_native_code():
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)

def in_a_library_that_takes_it_for_an_error():
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass

def with_a_thread_that_goes_on():
    threading.Thread(target=time.sleep, args=(600,)).start()
    time.sleep(600)

def as_an_import_that_fails():
    try:
        time.sleep(600)
    except KeyboardInterrupt as error:
        raise ImportError from error

def run(arguments, terminal):
    place, what = arguments
    half = pathlib.Path(place)
    half.touch()
    try:
        with unfinished(half.unlink):
            print("ready", flush=True)
            globals()[what]()
    finally:
        half.unlink()

cli._run = run
sys.exit(cli.main())
"""
AT = (
    "in_native_code",
    "in_a_library_that_takes_it_for_an_error",
    "with_a_thread_that_goes_on",
    "as_an_import_that_fails",
)


def test_ctrl_c_ends_the_program_whatever_it_is_at(tmp_path: Path) -> None:
    running = {}
    for what in AT:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / what), what]
        running[what] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for what, process in running.items():
            assert process.stdout.readline() == "ready\n", what
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
            assert (said, process.returncode) == ("tfx-explain: interrupted.\n", 130), what
        assert not list(tmp_path.iterdir())
    finally:
        for process in running.values():
            process.kill()
            process.wait()
