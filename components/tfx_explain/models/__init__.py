"""Loading models and evaluating them on mixed rows; the only part of the package that uses TensorFlow."""

from tfx_explain.models.blocks import CoalitionBlocks, SingleRowBlocks
from tfx_explain.models.features import FeatureSpec, Inputs
from tfx_explain.models.loading import load_model
from tfx_explain.models.model import Model
from tfx_explain.models.tally import Tally

__all__ = ["CoalitionBlocks", "FeatureSpec", "Inputs", "Model", "SingleRowBlocks", "Tally", "load_model"]
