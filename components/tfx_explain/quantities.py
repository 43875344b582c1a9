"""CPU and memory as Kubernetes and Kubeflow write them."""

from __future__ import annotations

import re

from tfx_explain.errors import ConfigError

_CPU = re.compile(r"(\d+(?:\.\d+)?)(m?)")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([KMGT]i?)")
_GIGABYTES = {
    unit: factor**power / 1e9
    for power, prefix in enumerate("KMGT", start=1)
    for unit, factor in ((prefix, 1_000), (f"{prefix}i", 1_024))
}


def cpus(text: str) -> float:
    """How many processors, such as `4`, `0.5` or `500m`.

    Raises:
      ConfigError: it is no number of them, or 0.
    """
    match = _CPU.fullmatch(text)
    number = 0.0 if match is None else float(match[1]) / (1_000 if match[2] else 1)
    if not number:
        raise ConfigError(f"CPU `{text}` is no number of processors; write one like 4, 0.5 or 500m.")
    return number


def gigabytes(text: str) -> float:
    """How much memory, such as `16G` (10^9 bytes) or `16Gi` (2^30 bytes), in units of 10^9 bytes.

    Raises:
      ConfigError: it is no amount of memory, has no unit, or is 0.
    """
    match = _MEMORY.fullmatch(text)
    amount = 0.0 if match is None else float(match[1]) * _GIGABYTES[match[2]]
    if not amount:
        raise ConfigError(f"memory `{text}` is no amount with its unit; write one like 16G, 16Gi or 512M.")
    return amount
