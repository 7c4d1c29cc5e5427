"""The value of arithmetic in Python's notation, worked out on its syntax tree: no name, call or attribute has one."""

import ast
import math
import operator
import warnings
from collections.abc import Callable

TOLERANCE = 1e-6
"""How far apart two numbers may be that count as equal; VLMEvalKit's."""

_LONGEST = 200  # characters
_LARGEST = 1e300  # of any value on the way, so that no power takes long
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_SIGNS: dict[type[ast.unaryop], Callable[[float], float]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def arithmetic(text: str) -> float | None:
    """Return the value of a sum, product, quotient or power of numbers; None for any other text, or a huge value."""
    if len(text) > _LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "1is 2"
            tree = ast.parse(text.strip(), mode="eval")
        return _value(tree.body)
    except (SyntaxError, ValueError, ArithmeticError, MemoryError, RecursionError):
        return None


def _value(node: ast.expr) -> float:
    """Return a node's value; ValueError where it has none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return _bounded(float(node.value))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _SIGNS:
        return _SIGNS[type(node.op)](_value(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        value = _OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
        if isinstance(value, float):  # a power may be complex
            return _bounded(value)
    raise ValueError("no arithmetic")


def _bounded(value: float) -> float:
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ValueError("too large")
    return value
