"""`models fit`: whether a GPU holds a model, and the line that starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.errors import InvalidInput
from .failures import DONE, FAILED
from .terminal import make_console
from .text import one_line, print_json

if TYPE_CHECKING:
    from ..models.sizing import Fit, Shape


def fit_model(
    name: str | None,
    params: str | None,
    *,
    bits: int | None,
    context: int,
    slots: int,
    gpu_gb: float | None,
    as_json: bool,
) -> int:
    """Show what a model takes; fails where the GPU given does not hold it."""
    from ..models import sizing

    shape = _shape(name, params)
    one = sizing.fit(shape, bits=bits, context_tokens=context, slots=slots, gpu_gb=gpu_gb)
    best = sizing.best_fit(shape, context_tokens=context, slots=slots, gpu_gb=gpu_gb) if gpu_gb else None
    shown = one if one.fits is not False or best is None else best
    told = {
        **_told(shape, one),
        "context": context,
        "slots": slots,
        "best_bits": best.bits if best else None,
        "longest_context": sizing.longest_context(shape, one, slots),
        "commands": sizing.start_commands(shape, shown, context_tokens=context, slots=slots),
    }
    if as_json:
        print_json(told)
    else:
        _print(shape, one, best, told)
    return FAILED if one.fits is False else DONE


def _shape(name: str | None, params: str | None) -> Shape:
    from ..models import sizing

    if name:
        return sizing.shape_of(name)
    if params:
        return sizing.shape_like(sizing.parse_parameters(params))
    raise InvalidInput("name", "give a model's name, a file of weights, or --params 7b.")


def _told(shape: Shape, one: Fit) -> dict[str, Any]:
    return {
        "name": shape.name,
        "parameters": shape.parameters,
        "estimated": shape.estimated,
        "bits": round(one.bits, 2),
        "weights_gb": round(one.weights_gb, 2),
        "cache_gb": round(one.cache_gb, 2),
        "total_gb": round(one.total_gb, 2),
        "gpu_gb": one.gpu_gb,
        "fits": one.fits,
    }


def _print(shape: Shape, one: Fit, best: Fit | None, told: dict[str, Any]) -> None:
    console = make_console()
    about = " (layers and heads of a model of about this size)" if shape.estimated else ""
    requests = f"{told['slots']} requests at once" if told["slots"] > 1 else "1 request"
    lines = [
        f"{one_line(shape.name)}: {shape.parameters / 1e9:.3g} B parameters at {one.bits:.3g} bits",
        f"weights {one.weights_gb:.1f} GB + cache {one.cache_gb:.1f} GB = {one.total_gb:.1f} GB",
        f"for {requests}, {told['context']:,} tokens each{about}",
    ]
    if shape.context_tokens and told["context"] > shape.context_tokens:
        lines.append(f"it was made for windows of {shape.context_tokens:,} tokens")
    lines.append(_verdict(one, best, told))
    console.print("\n".join(line for line in lines if line), highlight=False)
    for command in told["commands"].values():
        console.print(f"  {one_line(command)}", highlight=False, soft_wrap=True)


def _verdict(one: Fit, best: Fit | None, told: dict[str, Any]) -> str:
    if one.fits is None:
        return "give --gpu-gb to see whether it fits"
    if one.fits:
        return f"it fits in {one.gpu_gb:g} GB; there is room for {told['longest_context']:,} tokens a request"
    instead = f"it does at {best.bits:g} bits ({best.total_gb:.1f} GB)" if best else "not at any number of bits either"
    return f"it does not fit in {one.gpu_gb:g} GB; {instead}"
