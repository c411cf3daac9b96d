"""Phase markers for powerprof.

What a trainer calls. The pipe is in ``_pipe``, spans in ``_span``; the recorder does everything else. Outside
``powerprof -- COMMAND`` every call returns at once, nothing is opened and nothing is written.

    with powerprof.phase("train"):
        for batch in batches:
            with powerprof.step(samples=len(batch)):
                ...
"""

from __future__ import annotations

from typing import Callable, Iterable, Optional, Union

from . import _pipe
from ._span import Span, Sync, set_sync
from ._text import count, device_list, number

__all__ = ["Span", "active", "mark", "metric", "phase", "set_rank", "set_sync", "span", "step"]
__version__ = "0.1.0"


def span(
    name: str,
    *,
    index: Optional[int] = None,
    samples: Optional[int] = None,
    tokens: Optional[int] = None,
    sync: Optional[Sync] = None,
) -> Span:
    """A span: ``with span("tokenize", samples=len(texts)): ...``, or ``@span("tokenize")`` on a function.

    ``samples`` and ``tokens`` are the work finished in this span and in no span inside it: they are counted once, for it and
    every span around it. Where they are known only later, set them on the span: ``with span("x") as s: s.samples = n``.
    """
    return Span(name, index, samples, tokens, sync)


def phase(name: str, *, index: Optional[int] = None, sync: Optional[Sync] = None) -> Span:
    """A span that finishes no work of its own. Conventional names: ``load``, ``train``, ``validate``, ``infer``; inside a
    step ``data``, ``forward``, ``backward``, ``optimizer``."""
    return Span(name, index, None, None, sync)


def step(
    samples: Optional[int] = None,
    tokens: Optional[int] = None,
    index: Optional[int] = None,
    *,
    sync: Optional[Sync] = None,
) -> Span:
    """A span named ``step``, with the work that it finishes."""
    if callable(samples):
        raise TypeError("step is not a decorator by itself; hint: write @powerprof.step() with parentheses")
    return Span("step", index, samples, tokens, sync)


def mark(name: str, *, samples: Optional[int] = None, tokens: Optional[int] = None) -> None:
    """Something happened now; with ``samples`` or ``tokens``, work was finished inside whatever span is open."""
    pipe = _pipe.current()
    if pipe is not None:
        keys = pipe.tail
        if samples is not None or tokens is not None:
            keys += count("samples", samples) + count("tokens", tokens)
        pipe.send("mark", name, keys)


def metric(name: str, value: float) -> None:
    """A number about the training: loss, accuracy, ROUGE. NaN is a number here: a loss that diverged is worth knowing."""
    pipe = _pipe.current()
    if pipe is not None:
        text = number("value", value)
        if text:
            pipe.send("metric", name, pipe.tail + text)


def set_rank(rank: int, devices: Union[None, str, int, Iterable[Union[str, int]]] = None) -> None:
    """Which rank this process is, where no launcher's variable says, and what it runs on: indices or UUIDs."""
    _pipe.set_rank(rank, None if devices is None else device_list(devices))


def active() -> bool:
    """Whether a recorder listens."""
    return _pipe.current() is not None
