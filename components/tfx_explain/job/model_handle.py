"""A model by name and content, small enough to send to any worker; loaded once in each process."""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Sequence

import pyarrow as pa

from tfx_explain import storage
from tfx_explain.config import ModelConfig
from tfx_explain.content_digest import EMPTY, directory_digest, file_digest
from tfx_explain.errors import ModelError
from tfx_explain.fetched import Fetched, fetch
from tfx_explain.models import Model, load_model, load_module_model
from tfx_explain.models.identity import model_identity
from tfx_explain.models.probe import Probe
from tfx_explain.models.python_sources import fetch_sources
from tfx_explain.models.transform.handle import TransformHandle
from tfx_explain.models.transform.joining import Front
from tfx_explain.timings import LOAD, TIMINGS

_LOADED: weakref.WeakValueDictionary[ModelHandle, Model] = weakref.WeakValueDictionary()
_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True)
class ModelHandle:
    """Where a model is, which one it is, and how it is called.

    Attributes:
      model_dir: a SavedModel, a TFX Model artifact, or what `config.module_file` loads.
      config: signature, output and output space.
      identity: digest of the model's files and of the Python that loads it; "" = of what is there when it is asked for.
      ignored: directories that are no part of the model, wherever they are: those that the job writes to.
      n_outputs: how many values the output has, once somebody has asked the model.
      transform: goes before the model where that takes what Transform makes.
    """

    model_dir: str
    config: ModelConfig
    identity: str = ""
    ignored: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    n_outputs: int | None = dataclasses.field(default=None, compare=False)
    transform: TransformHandle | None = None

    def identified(self, ignored: tuple[str, ...] = ()) -> ModelHandle:
        """The same, bound to the content that is there now."""
        identity = model_identity(self.model_dir, self.config.module_file, ignored)
        transform = None if self.transform is None else self.transform.identified()
        return dataclasses.replace(self, identity=identity, ignored=ignored, transform=transform)

    def acquire(self, batches: Sequence[pa.RecordBatch] = ()) -> Model:
        """The loaded model, shared by all who hold it in this process.

        Args:
          batches: rows to ask it with how many outputs it has, where neither `n_outputs` nor the model says so.

        Raises:
          ModelError: the model cannot be loaded, or is not the one of this identity any more.
        """
        if not self.identity:
            return self.identified().acquire(batches)
        with _LOCK:
            model = _LOADED.get(self)
            if model is None or not _as_read(model):
                with TIMINGS.of(LOAD):
                    model = self._load(Probe(self.n_outputs, tuple(batches)))
                _LOADED[self] = model
        return model

    def _load(self, probe: Probe) -> Model:
        config, module = self.config, None
        known = config.module_file is None or storage.is_known(self.model_dir)
        # What is loaded is looked at, not only what it was fetched from, which may be changed meanwhile.
        model_dir = fetch(self.model_dir, self.ignored) if known else Fetched(self.model_dir, self.model_dir)
        if config.module_file is not None:
            module = fetch_sources(config.module_file)
        self._check_files(model_dir.path, None if module is None else module.path)
        if module is not None:
            space = config.output_space
            return load_module_model(module, model_dir, output_space=space, output_is=config.output_is, probe=probe)
        return load_model(
            model_dir,
            signature=config.signature,
            output_key=config.output_key,
            output_space=config.output_space,
            output_is=config.output_is,
            probe=probe,
            transform=self._front(),
        )

    def _front(self) -> Front | None:
        return None if self.transform is None else Front(self.transform.acquire(), self.config.takes)

    def check(self, model: Model) -> None:
        """Refuses a loaded model whose files, or whose transform graph's, have changed since this handle was bound.

        Raises:
          ModelError: they have changed, or are gone.
        """
        self._check_files(self.model_dir, self.config.module_file)
        if self.transform is not None:
            self.transform.check()
        if not _as_read(model):
            raise ModelError(f"a file that {self.config.module_file} imports was changed {_DURING}.")

    def _check_files(self, model_dir: str, module_file: str | None) -> None:
        now = model_identity(model_dir, module_file, self.ignored)
        if now == self.identity:
            return
        what = f"the model at {self.model_dir}"
        if self.config.module_file is not None:
            what += f", or {self.config.module_file} or what that imports from beside it,"
        gone = self.config.module_file is None and directory_digest(model_dir, self.ignored) == EMPTY
        raise ModelError(
            f"{what} was {'removed' if gone else 'changed'} {_DURING}, "
            f"so nothing says what was explained (digest {self.identity[:8]} before, {now[:8]} now)."
        )


_DURING = "while it was explained: run again, and leave it as it is until the run ends"


def _as_read(model: Model) -> bool:
    """Whether the Python files that were found to be imported only as they were are still the same."""
    return all(file_digest(path) == digest for path, digest in dict(model.sources).items())
