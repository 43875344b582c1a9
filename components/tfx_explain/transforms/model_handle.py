"""A model by name, small enough to send to any worker; loaded once in each process."""

from __future__ import annotations

import dataclasses
import threading
import weakref

from tfx_explain.config import ModelConfig
from tfx_explain.models import Model, load_model

_LOADED: weakref.WeakValueDictionary[ModelHandle, Model] = weakref.WeakValueDictionary()
_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True)
class ModelHandle:
    """Where a model is and how it is called.

    Attributes:
      model_dir: a SavedModel, a TFX Model artifact, or what `config.module_file` loads.
      config: signature, output and output space.
    """

    model_dir: str
    config: ModelConfig

    def acquire(self) -> Model:
        """The loaded model, shared by all who hold it in this process."""
        with _LOCK:
            model = _LOADED.get(self)
            if model is None:
                model = load_model(
                    self.model_dir,
                    signature=self.config.signature,
                    output_key=self.config.output_key,
                    output_space=self.config.output_space,
                    module_file=self.config.module_file,
                )
                _LOADED[self] = model
        return model
