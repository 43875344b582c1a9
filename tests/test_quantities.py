"""CPU and memory as Kubernetes and Kubeflow write them."""

from __future__ import annotations

import pytest

from tfx_explain import ConfigError
from tfx_explain.quantities import cpus, gigabytes


@pytest.mark.parametrize(("text", "number"), [("4", 4.0), ("0.5", 0.5), ("500m", 0.5), ("1500m", 1.5)])
def test_processors(text: str, number: float) -> None:
    assert cpus(text) == number


@pytest.mark.parametrize(
    ("text", "amount"),
    [("16G", 16.0), ("512M", 0.512), ("1Gi", 2**30 / 1e9), ("1.5T", 1500.0), ("2048Ki", 2**21 / 1e9)],
)
def test_memory(text: str, amount: float) -> None:
    assert gigabytes(text) == pytest.approx(amount, rel=1e-15)


@pytest.mark.parametrize("text", ["", "0", "-1", "4G", "four", "1e3", "0m", ".5", "4 ", "nan", "0.0"])
def test_what_is_no_number_of_processors(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no number of processors; write one like 4, 0.5 or 500m"):
        cpus(text)


@pytest.mark.parametrize("text", ["", "16", "0G", "-1G", "16GB", "16g", "many", "1e3M", "16 G"])
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no amount with its unit; write one like 16G, 16Gi or 512M"):
        gigabytes(text)
