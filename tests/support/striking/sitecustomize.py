"""Loaded at the start of every Python process that has this directory on its path: strikes one worker of a job.

The first worker that comes to a place is struck by a signal, or strikes its driver, and writes down when. `STRIKE` says
all that in JSON: `place`, `signal`, `delay` in seconds, whether the `driver` is meant, and the file `mark`.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import json
import os
import sys
import threading
import time

PLACES = {
    "start": "",
    "reading": "tfx_explain.transforms.decode:_decode",
    "pilot": "tfx_explain.transforms.plan:plan",
    "explaining": "tfx_explain.transforms.explain:explain_examples",
    "writing": "tfx_explain.transforms.write:attribution_rows",
    "summary": "tfx_explain.transforms.job:_finish",
}
"""Place -> function of this package that a worker calls there; none at the start of the process."""


class _Hook(importlib.abc.MetaPathFinder):
    """Calls a function before a function of a module is called, whoever imports it."""

    def __init__(self, place, before):
        self.module, self.name = PLACES[place].split(":")
        self.before = before

    def find_spec(self, name, path, target=None):
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            function = getattr(module, self.name)

            @functools.wraps(function)
            def called(*args, **kwargs):
                self.before()
                return function(*args, **kwargs)

            setattr(module, self.name, called)

        spec.loader.exec_module = exec_module
        return spec


def strike(asked):
    """Once in all processes of a job."""
    try:
        mark = os.open(asked["mark"], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    target = os.getppid() if asked["driver"] else os.getpid()

    def blow():
        os.write(mark, str(time.time()).encode())
        os.close(mark)
        os.kill(target, asked["signal"])

    if asked["delay"]:
        timer = threading.Timer(asked["delay"], blow)
        timer.daemon = True
        timer.start()
    else:
        blow()


def prepare(asked):
    before = functools.partial(strike, asked)
    if PLACES[asked["place"]]:
        sys.meta_path.insert(0, _Hook(asked["place"], before))
    else:
        before()


if "STRIKE" in os.environ and "WORKER_ID" in os.environ:
    prepare(json.loads(os.environ["STRIKE"]))
