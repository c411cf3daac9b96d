"""The spans that a callback has open. A callback hears edges one by one, and trainers skip some (an early stop, an exception),
so closing a span here closes what is still open inside it, and opening one closes its open sibling of the same level."""

from __future__ import annotations

from typing import Optional

from .._span import Span


class OpenSpans:
    """A stack of names, innermost last."""

    def __init__(self) -> None:
        self._open: list[tuple[str, Span]] = []

    def begin(self, name: str, *, inside: Optional[str] = None, index: Optional[int] = None) -> None:
        """Opens a span inside the innermost one, or directly inside the one named."""
        if inside is not None:
            self._close_down_to(self._depth(inside))
        span = Span(name, index)
        span.__enter__()
        self._open.append((name, span))

    def end(self, name: str, samples: Optional[int] = None, tokens: Optional[int] = None) -> None:
        """Closes it, and what is open inside it. A name that is not open is nobody's mistake: its begin was never heard."""
        depth = self._depth(name)
        if depth == 0:
            return
        self._close_down_to(depth)
        _, span = self._open.pop()
        span.samples, span.tokens = samples, tokens
        span.__exit__(None, None, None)

    def end_all(self) -> None:
        self._close_down_to(0)

    def __contains__(self, name: str) -> bool:
        return self._depth(name) > 0

    def _depth(self, name: str) -> int:
        """How many are open down to it, itself included; 0 where it is not."""
        for depth in range(len(self._open), 0, -1):
            if self._open[depth - 1][0] == name:
                return depth
        return 0

    def _close_down_to(self, depth: int) -> None:
        while len(self._open) > depth:
            self._open.pop()[1].__exit__(None, None, None)
