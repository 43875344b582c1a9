"""Where gradients are taken on a segment, and with which weights."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_explain.paths import Rule


@pytest.mark.parametrize("rule", [Rule(4, 4, 8), Rule(2, 4, 4), Rule(2, 2, 2), Rule(2, 1, 1), Rule(4, 4)])
def test_rules_are_exact_for_polynomials_up_to_their_degree(rule):
    whole, pieces = np.split(rule.nodes, [rule.n_whole])
    pieces = pieces.reshape(rule.n_pieces, rule.n_nodes)
    for power in range(2 * rule.n_nodes):
        edges = (np.arange(rule.n_pieces + 1) / rule.n_pieces) ** (power + 1) / (power + 1)
        np.testing.assert_allclose(pieces**power @ rule.weights, np.diff(edges), rtol=1e-12)
    if rule.n_whole:
        powers = np.arange(2 * rule.n_whole)
        np.testing.assert_allclose(whole ** powers[:, None] @ rule.weights_of_whole, 1 / (powers + 1), rtol=1e-12)


def test_outputs_are_asked_for_where_they_are_not_known():
    np.testing.assert_array_equal(Rule(4, 4, 8).edges, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(Rule(4, 4).edges, [0.25, 0.5, 0.75])
