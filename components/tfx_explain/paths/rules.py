"""How a segment of a path is cut, and where on it gradients are taken."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Rule:
    """Gauss-Legendre rules of the equal pieces of a segment, and of the whole of it where that is not known yet.

    A rule of n nodes is exact for gradients that are polynomials up to degree 2 n - 1.

    Attributes:
      n_pieces: how many there are.
      n_nodes: of each piece: an even number, or 1.
      n_whole: nodes of the whole segment's own rule; 0 where its integral and the outputs at its ends are known.
    """

    n_pieces: int
    n_nodes: int
    n_whole: int = 0

    @property
    def n_points(self) -> int:
        """Where gradients are taken."""
        return self.n_whole + self.n_pieces * self.n_nodes

    @functools.cached_property
    def edges(self) -> FloatArray:
        """(e,) where outputs are asked for, as parts of the segment: between pieces, and at ends that are not known."""
        edges = np.linspace(0.0, 1.0, self.n_pieces + 1)
        return edges if self.n_whole else edges[1:-1]

    @functools.cached_property
    def nodes(self) -> FloatArray:
        """(n_points,) where gradients are taken, as parts of the segment: those of the whole, then piece by piece."""
        places = (special.roots_legendre(self.n_nodes)[0] + 1) / 2
        of_pieces = ((np.arange(self.n_pieces)[:, None] + places) / self.n_pieces).ravel()
        whole = (special.roots_legendre(self.n_whole)[0] + 1) / 2 if self.n_whole else np.zeros(0)
        return np.concatenate([whole, of_pieces])

    @functools.cached_property
    def weights(self) -> FloatArray:
        """(n_nodes,) of the nodes of a piece, for a segment of width 1."""
        return np.asarray(special.roots_legendre(self.n_nodes)[1] / (2 * self.n_pieces))

    @functools.cached_property
    def weights_of_whole(self) -> FloatArray:
        """(n_whole,) of the whole's nodes, for a segment of width 1."""
        return np.asarray(special.roots_legendre(self.n_whole)[1] / 2) if self.n_whole else np.zeros(0)

    @property
    def improvement(self) -> float:
        """How many times the error that a kink costs its piece it costs the whole segment."""
        return self.n_pieces * self.n_nodes / (self.n_whole or self.n_nodes)
