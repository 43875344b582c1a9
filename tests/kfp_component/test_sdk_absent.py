"""Without Kubeflow's SDK there is one sentence, which says what to install."""

import importlib
import sys

import pytest


def test_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kfp.dsl", None)
    monkeypatch.delitem(sys.modules, "tfx_explain.kfp_component", raising=False)
    with pytest.raises(ImportError, match=r"^tfx_explain\.kfp_component needs the SDK .*: pip install kfp\.$"):
        importlib.import_module("tfx_explain.kfp_component")
