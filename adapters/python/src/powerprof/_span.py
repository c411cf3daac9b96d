"""A span: context manager and decorator. It ends whatever happens inside it."""

from __future__ import annotations

import functools
import inspect
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar, cast

from ._pipe import current
from ._text import count

Sync = Callable[[], object]
F = TypeVar("F", bound=Callable[..., Any])

_default_sync: Optional[Sync] = None


def set_sync(sync: Optional[Sync]) -> None:
    """Calls this before the stamp of every begin and end, e.g. ``torch.cuda.synchronize``; ``None`` stops that.

    Off by default. Host code marks the *launch* of GPU work, so without it work that is still queued when a span ends falls into
    the next one. Waiting makes the edges exact, and takes away the overlap of launching and computing: the run gets slower and
    its energy changes. Prefer ``sync=`` on the few spans whose edges matter.
    """
    global _default_sync
    _default_sync = sync


class Span:
    """One execution of a phase. ``samples`` and ``tokens`` may be set until it ends."""

    __slots__ = ("_index", "_name", "_pipe", "_sync", "_tail", "samples", "tokens")

    def __init__(
        self,
        name: str,
        index: Optional[int] = None,
        samples: Optional[int] = None,
        tokens: Optional[int] = None,
        sync: Optional[Sync] = None,
    ) -> None:
        self._name = name
        self._index = index
        self._sync = sync
        self.samples = samples
        self.tokens = tokens

    def __enter__(self) -> Span:
        pipe = self._pipe = current()
        if pipe is not None:
            sync = self._sync or _default_sync
            if sync is not None:
                sync()
            keys = self._tail = pipe.tail  # the rank that begins a span ends it, also when set_rank comes in between
            if self._index is not None:
                keys += count("index", self._index)
            pipe.send_begin(self._name, keys)
        return self

    def __exit__(
        self,
        exception: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        pipe = self._pipe
        if pipe is None or not pipe.alive:
            return
        keys = self._tail
        if exception is not None:
            # What was promised was not finished. No sync: after a failure it would hide the exception, or hang.
            pipe.send("end", self._name, keys)
            return
        try:
            sync = self._sync or _default_sync
            if sync is not None:
                sync()
        finally:
            if self.samples is not None:
                keys += count("samples", self.samples)
            if self.tokens is not None:
                keys += count("tokens", self.tokens)
            pipe.send("end", self._name, keys)

    def __call__(self, function: F) -> F:
        """As decorator: every call of the function is a span of its own, also in recursion and in threads."""
        if not callable(function):
            raise TypeError(f"a span decorates functions, not {type(function).__name__}")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            # Between two values the consumer's own spans would come inside, or end after it.
            raise TypeError("a span cannot decorate a generator; hint: write `with` around the work between two yields")
        name, index, samples, tokens, sync = self._name, self._index, self.samples, self.tokens, self._sync
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def in_span_async(*args: Any, **kwargs: Any) -> Any:
                with Span(name, index, samples, tokens, sync):
                    return await function(*args, **kwargs)

            return cast(F, in_span_async)

        @functools.wraps(function)
        def in_span(*args: Any, **kwargs: Any) -> Any:
            with Span(name, index, samples, tokens, sync):
                return function(*args, **kwargs)

        return cast(F, in_span)
