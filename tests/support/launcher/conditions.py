"""Conditions of tasks: the part of CEL that TFX compiles its conditions to."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping
from typing import Any

_COMPARISONS = {ast.Eq: operator.eq, ast.Lt: operator.lt, ast.Gt: operator.gt}


def holds(condition: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a condition holds.

    Args:
      condition: in CEL, such as `(inputs.artifacts['a'].artifacts[0].metadata['blessed'] == 1.0)`.
      inputs: the inputs of the ExecutorInput.

    Raises:
      KeyError, IndexError: it asks for what is not there; a backend fails the task then.
      NotImplementedError: it uses more of CEL than TFX does.
    """
    expression = condition.replace("&&", " and ").replace("||", " or ")
    tree = ast.parse(re.sub(r"!(?!=)", " not ", expression).strip(), mode="eval")
    result = _value(tree.body, {"inputs": inputs})
    if not isinstance(result, bool):
        raise NotImplementedError(f"the condition {condition} is {result!r}, not true or false.")
    return result


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return names[node.id]
        case ast.Attribute():
            return _value(node.value, names)[node.attr]
        case ast.Subscript():
            return _value(node.value, names)[_value(node.slice, names)]
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, names)
        case ast.BoolOp(op=ast.And()):
            return all(_value(each, names) for each in node.values)
        case ast.BoolOp(op=ast.Or()):
            return any(_value(each, names) for each in node.values)
        case ast.BinOp(op=ast.Add()):
            return _value(node.left, names) + _value(node.right, names)
        case ast.Compare(ops=[comparison]) if type(comparison) in _COMPARISONS:
            return _COMPARISONS[type(comparison)](_value(node.left, names), _value(node.comparators[0], names))
    raise NotImplementedError(f"conditions have no {ast.unparse(node)} here.")
