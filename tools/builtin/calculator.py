"""Arithmetic without `eval`: the expression is parsed, and only what the tables below name is computed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from ...core.errors import ToolError
from ..function import tool

Number = int | float

MAX_CHARACTERS = 500
MAX_DEPTH = 60
MAX_BITS = 4096
"""Whole numbers larger than this many bits are refused: their powers would take for ever."""

_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: operator.mod,
}
_UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "exp": math.exp,
    "floor": math.floor,
    "ln": math.log,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "round": round,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "tan": math.tan,
}
_CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}


@tool(effect="read", risk="low", timeout_s=5)
def calculator(expression: str) -> int | float:
    """Compute an arithmetic expression, for example `(17 + 4) * 2.5 / sqrt(16)`.

    Args:
        expression: Numbers, + - * / // % ** and parentheses; functions such as sqrt, round, min, max, log;
            the constants pi and e. No commas inside numbers.
    """
    if len(expression) > MAX_CHARACTERS:
        raise _refuse(f"it has {len(expression)} characters; at most {MAX_CHARACTERS} are allowed.")
    try:
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise _refuse(f"{expression!r} is not an arithmetic expression.") from error
    try:
        return _finite(_value(tree.body, 0))
    except ZeroDivisionError as error:
        raise _refuse(f"{expression!r} divides by zero.") from error
    except (ArithmeticError, ValueError, TypeError) as error:
        raise _refuse(f"{expression!r} has no value ({error}).") from error


def _value(node: ast.expr, depth: int) -> Number:
    if depth > MAX_DEPTH:
        raise _refuse(f"the expression is nested deeper than {MAX_DEPTH} levels.")
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            return _UNARY[type(sign)](_value(operand, depth + 1))
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, depth + 1), _value(right, depth + 1))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            return _bounded(_BINARY[type(sign)](_value(left, depth + 1), _value(right, depth + 1)))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*(_value(argument, depth + 1) for argument in arguments)))
        case _:
            raise _refuse(f"{ast.unparse(node)!r} is not arithmetic that this tool knows.")


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        if base.bit_length() * exponent > MAX_BITS:
            raise _refuse(f"{base}**{exponent} is too large.")
    return _bounded(base**exponent)


def _bounded(value: Number | complex) -> Number:
    if isinstance(value, complex):
        raise _refuse("the result is not a real number.")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise _refuse("a number in the expression is too large.")
    return value


def _finite(value: Number) -> Number:
    if not math.isfinite(value):
        raise _refuse(f"the result is {value}.")
    return value


def _refuse(problem: str) -> ToolError:
    return ToolError("calculator", problem)
