"""Explaining and judging as plain components of Kubeflow Pipelines v2, which need neither TFX nor its images.

    from kfp import dsl
    from tfx_explain.kfp_component import explain_model, validate_explanation

    @dsl.pipeline(name="explained")
    def pipeline(model_uri: str, examples_uri: str):
        model = dsl.importer(artifact_uri=model_uri, artifact_class=dsl.Model)
        examples = dsl.importer(artifact_uri=examples_uri, artifact_class=dsl.Dataset)
        explained = explain_model(model=model.output, examples=examples.output, explain_config=EXPLAIN_YAML)
        judged = validate_explanation(
            explanation=explained.outputs["explanation"], model=model.output, validation_config=POLICY_YAML
        )
        with dsl.If(judged.outputs["blessed"] == True):
            ...

They are lightweight components: a step installs `packages` into `image`, or finds everything there. `components` makes
them for images and packages of one's own.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tfx_explain.quantities import cpus, gigabytes
from tfx_explain.version import __version__

try:
    from kfp.dsl import component
except ImportError as error:
    raise ImportError(
        f"tfx_explain.kfp_component needs the SDK of Kubeflow Pipelines v2, which cannot be imported ({error}): "
        "pip install kfp."
    ) from error

from tfx_explain.kfp_component import functions

IMAGE = "python:3.13"
PACKAGES = (f"tfx-explain=={__version__}",)


class Components(NamedTuple):
    """The two components, each a function that makes a task of a pipeline."""

    explain_model: Callable[..., Any]
    validate_explanation: Callable[..., Any]


def components(
    image: str = IMAGE,
    packages: Sequence[str] = PACKAGES,
    *,
    install_kfp: bool = True,
    cpu: str | None = None,
    memory: str | None = None,
) -> Components:
    """Both components, for an image and packages.

    Args:
      image: what the steps run in; it needs Python and pip where anything is to be installed.
      packages: what pip installs when a step starts, as for instance the place of a wheel; none for an image that has
        tfx-explain.
      install_kfp: whether Kubeflow's SDK, which each step runs by, is installed too; False for an image that has it.
      cpu: how many processors each of their steps may take, such as `4` or `500m`; None for what the cluster gives. One
        task's own says its `set_cpu_limit`.
      memory: how much memory each may take, such as `16G`; likewise, with `set_memory_limit`.

    Raises:
      ConfigError: there is no such amount of CPU or memory.
    """
    if cpu is not None:
        cpus(cpu)
    if memory is not None:
        gigabytes(memory)
    settings = {"base_image": image, "packages_to_install": list(packages), "install_kfp_package": install_kfp}
    made = (functions.explain_model, functions.validate_explanation)
    return Components(*(_limited(component(function, **settings), cpu, memory) for function in made))


def _limited(made: Any, cpu: str | None, memory: str | None) -> Callable[..., Any]:
    """A component whose tasks are limited when they are made: Kubeflow knows limits of tasks only."""

    @functools.wraps(made.python_func)
    def task_of(**inputs: Any) -> Any:
        task = made(**inputs)
        if cpu is not None:
            task.set_cpu_limit(cpu)
        if memory is not None:
            task.set_memory_limit(memory)
        return task

    return made if cpu is None and memory is None else task_of


explain_model, validate_explanation = components()
