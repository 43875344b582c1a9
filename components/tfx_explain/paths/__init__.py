"""Attributions from gradients along straight paths between rows: where to take them, and what they say.

The attribution of a player is the integral over alpha in [0, 1] of its part of the gradient at start + alpha (end -
start), times (end - start). Over all players these add up to the difference between the outputs at both ends, so that
of every piece of every path the error of the sum is known. Paths of images need not be straight: guided ones choose
their pixels. The model is asked elsewhere. NumPy and SciPy only.
"""

from tfx_explain.paths.guided import guided_points
from tfx_explain.paths.integral import Accuracy, Integrals, PathFunction, integrate
from tfx_explain.paths.rules import Rule
from tfx_explain.paths.segments import Refined
from tfx_explain.paths.strata import Strata, choose_strata, satterthwaite_dof, second_difference_dof
from tfx_explain.paths.sweeps import N_BLOCKS, OF_DIFFERENCE, Steps, Swept, SweptFunction, step_weights, sweep

__all__ = [
    "N_BLOCKS",
    "OF_DIFFERENCE",
    "Accuracy",
    "Integrals",
    "PathFunction",
    "Refined",
    "Rule",
    "Steps",
    "Strata",
    "Swept",
    "SweptFunction",
    "choose_strata",
    "guided_points",
    "integrate",
    "satterthwaite_dof",
    "second_difference_dof",
    "step_weights",
    "sweep",
]
