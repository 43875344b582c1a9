"""Models that are no SavedModel: a Python file says how to load and call them.

The file defines:

    FEATURES = {"age": "float32", "state": "string", "pixels": "float32[64]"}   # or: def features(model_dir) -> dict

    def load_model(model_dir):
        model = joblib.load(f"{model_dir}/model.joblib")
        return lambda columns: model.predict_proba(to_frame(columns))[:, 1]

`load_model` returns a function from a dictionary of arrays to outputs (n,) or (n, n_outputs). Each array is (n,), or
(n, k) for a type written with `[k]`; strings are `bytes` in an object array. A missing float is NaN, a missing string
None; a missing integer or boolean is an error of its row, so declare as float what may be missing.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import ConfigError, ModelCallError, ModelError
from tfx_explain.fetched import Fetched
from tfx_explain.models.features import Column, FeatureSpec, Inputs, numpy_dtype
from tfx_explain.models.host import HostEngine
from tfx_explain.models.messages import first_line
from tfx_explain.models.python_sources import sources_read_anew
from tfx_explain.timings import CALL, TIMINGS

_DTYPE = re.compile(r"(float32|float64|int32|int64|bool|string)(?:\[(\d+)\])?")


def load_module(module: Fetched, model: Fetched) -> tuple[HostEngine, tuple[FeatureSpec, ...], dict[str, bytes]]:
    """Loads a model through a Python file.

    Args:
      module: the file, as `fetch_sources` gives it.
      model: whatever its `load_model` takes.

    Returns:
      What calls it, the features it reads, and of the files beside the module file that are imported: path -> SHA-256,
      to which calls may add.

    Raises:
      ConfigError: the file is absent or does not define what it must.
      ModelError: its `load_model` fails.
    """
    beside = sources_read_anew(module.path)
    with beside.found():
        function, specs = _load(module, model)
    what = f"The model of {module.uri}"

    def call(inputs: Inputs) -> npt.ArrayLike:
        try:
            with TIMINGS.of(CALL), beside.found():
                return function(dict(inputs.columns))
        except (Exception, SystemExit) as error:
            raise ModelCallError(f"{what} failed on {len(inputs)} rows: {first_line(error)}.") from error

    return HostEngine(call, what), specs, beside.read


def _load(
    file: Fetched, model: Fetched
) -> tuple[Callable[[dict[str, Column]], npt.ArrayLike], tuple[FeatureSpec, ...]]:
    module, module_file = _execute(file), file.uri
    loader = getattr(module, "load_model", None)
    if not callable(loader):
        raise ConfigError(f"{module_file} must define `load_model(model_dir)`.")
    try:
        declared = module.features(model.path) if hasattr(module, "features") else getattr(module, "FEATURES", None)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"`features` of {module_file} failed on {model.uri}: {first_line(error)}.") from error
    if not isinstance(declared, Mapping) or not declared:
        message = (
            f"{module_file} must say which features the model reads: `FEATURES` (name -> type) or `features(model_dir)`"
        )
        raise ConfigError(f"{message}.")
    specs = tuple(_spec(name, dtype, module_file) for name, dtype in declared.items())
    try:
        function = loader(model.path)
    except (Exception, SystemExit) as error:
        raise ModelError(f"`load_model` of {module_file} failed on {model.uri}: {first_line(error)}.") from error
    return function, specs


def _execute(file: Fetched) -> types.ModuleType:
    try:
        with open(file.path, "rb") as stream:
            source = stream.read()
    except OSError as error:
        raise ConfigError(f"Cannot read module_file {file.uri}: {error.strerror}.") from None
    module = types.ModuleType("tfx_explain_model_module")
    module.__file__ = file.path
    try:
        exec(compile(source, file.uri, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"module_file {file.uri} cannot be imported: {first_line(error)}.") from error
    return module


def _spec(name: object, dtype: object, module_file: str) -> FeatureSpec:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{module_file} declares a feature {name!r}; the name of a feature is a non-empty text.")
    match = _DTYPE.fullmatch(str(dtype).replace(" ", ""))
    if match is None:
        known = "float32, float64, int32, int64, bool or string, with [k] for k values"
        raise ConfigError(f"{module_file} gives feature {name!r} the type {dtype!r}; it must be {known}.")
    shape = (int(match[2]),) if match[2] else ()
    default = None
    if match[1].startswith("float"):
        default = np.full(shape, np.nan, match[1])
    elif match[1] == "string":
        default = np.full(shape, None, numpy_dtype("string"))
    return FeatureSpec(name, match[1], "dense", shape, default)
