"""CPU and memory of the steps of a compiled pipeline.

TFX has `with_platform_config` for that, which compiling drops from ExampleGen without a word; so this is written into
what was compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tfx_explain import ConfigError
from tfx_explain.quantities import cpus, gigabytes

_KINDS: dict[str, tuple[str, Callable[[str], float]]] = {
    "cpu": ("cpuLimit", cpus),
    "memory": ("memoryLimit", gigabytes),
}


def limit_steps(spec: dict[str, Any], cpu: Sequence[str], memory: Sequence[str]) -> None:
    """Writes into a compiled pipeline what its steps may take.

    Args:
      spec: its PipelineSpec.
      cpu: `4` for every step, `Explainer=8` for one, which counts more.
      memory: likewise, such as `8G` and `Explainer=32G`.

    Raises:
      ConfigError: an amount is none, is given twice, or the pipeline has no such step.
    """
    containers = _containers(spec)
    for kind, given in (("cpu", cpu), ("memory", memory)):
        amounts = _amounts(kind, given, sorted(containers))
        for step, container in containers.items():
            if (amount := amounts.get(step, amounts.get(""))) is not None:
                container.setdefault("resources", {})[_KINDS[kind][0]] = amount


def _containers(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Step -> its container; resolvers have none."""
    found = {}
    for step, task in spec["root"]["dag"]["tasks"].items():
        component = spec["components"][task["componentRef"]["name"]]
        executor = spec["deploymentSpec"]["executors"].get(component.get("executorLabel"), {})
        if "container" in executor:
            found[step] = executor["container"]
    return found


def _amounts(kind: str, given: Sequence[str], steps: Sequence[str]) -> dict[str, float]:
    """Step, "" for every other one -> how much."""
    found: dict[str, float] = {}
    for text in given:
        step, _, amount = text.rpartition("=")
        if step and step not in steps:
            raise ConfigError(f"--{kind} names `{step}`, which is no step with a container; choose {', '.join(steps)}.")
        if step in found:
            where = f"step `{step}`" if step else "every step"
            raise ConfigError(f"--{kind} is given twice for {where}; give it once.")
        found[step] = _KINDS[kind][1](amount)
    return found
