"""Loading models and evaluating them on mixed rows; the only part of the package that uses TensorFlow.

What lies where, from a model's files to the outputs of mixed rows:

    loading, module_file        what is loaded: a SavedModel's signature, or what a Python file makes
    freezing, graph, parsing    a frozen graph, cut after the op that parses examples (hidden_parsing: in its functions)
    outputs, links              which output in which space; log-odds read off the graph's end (squashing, ops)
    access, signature, probe    how it is fed, as its own signature would be; how many outputs it has
    features, reading, ports    rows: columns read from Arrow batches, and the tensors that they become
    engine                      THE PROTOCOL of what evaluates rows; graph_engine and host implement it
    graph_mixing, hoist         mixing rows in the graph, as late as can be (tensor_mixing, side_by_side, compilation)
    mixing, lattice, blocks     which mixtures are asked for, in which calls (pieces, chunks, call_bytes, repeats)
    path_gradients              THE PROTOCOL of outputs and gradients along paths; graph_paths implements it
    path_cut, path_choice       where a graph is cut for paths (path_ops, path_ways, path_refusals, path_slide,
                                path_derivatives)
    path_calls, path_pieces     points of paths inside TensorFlow, in calls of fixed shape (path_columns, path_sums,
                                row_values)
    pictures                    a graph past the decoding of pictures, and files as graphs read them
    model                       the facade that all of this stands behind
    trust                       whether a model can be trusted row by row (mixture_trials, pairing, closeness, effort)
    identity, python_sources    which model it is: digests of its files
    encoding                    players as a few numbers, for surrogates
"""

from tfx_explain.models.blocks import CoalitionBlocks, SingleRowBlocks
from tfx_explain.models.features import FeatureSpec, Inputs
from tfx_explain.models.loading import load_model, load_module_model
from tfx_explain.models.model import Model
from tfx_explain.models.tally import Tally

__all__ = [
    "CoalitionBlocks",
    "FeatureSpec",
    "Inputs",
    "Model",
    "SingleRowBlocks",
    "Tally",
    "load_model",
    "load_module_model",
]
