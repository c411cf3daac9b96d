"""The open end of the marker pipe of this process: one ``os.write`` a line, what to do when it does not go through, and the
count of what was lost. Opened at the first marker, not at import: workers often learn their rank in between.

Times are CLOCK_MONOTONIC nanoseconds, the clock of the recorder (``time.monotonic_ns`` on Linux)."""

from __future__ import annotations

import fcntl
import os
import threading
from os import write
from time import monotonic_ns
from typing import Optional

from ._text import names

#: torchrun and accelerate, Open MPI, MPICH and Intel MPI, srun: in this order, because torchrun is itself started by srun.
_RANK_VARIABLES = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
_LARGEST_RANK = 2**32 - 1
#: Descriptors from here up are never handed out by ``open``, which takes the lowest free number. A trainer that closes "all"
#: descriptors and opens a checkpoint would otherwise get ours again, and find markers in its checkpoint.
_OUT_OF_THE_WAY = 512


class Pipe:
    """An open pipe. ``alive`` turns false when the recorder is gone; a pipe is never closed, because another thread may be about
    to write and the number would be someone else's by then."""

    __slots__ = ("_devices", "_fd", "_lost", "_lock", "alive", "tail")

    def __init__(self, fd: int, rank: int, devices: Optional[str]) -> None:
        self._fd = fd
        self._lost = 0
        # Re-entrant: a signal handler may send a mark while this thread is in here.
        self._lock = threading.RLock()
        self.alive = True
        self.speak_for(rank, devices)

    def speak_for(self, rank: int, devices: Optional[str]) -> None:
        """What ends every line from now on, and what the next begin line says about devices."""
        self.tail = f" rank={rank}" if rank else ""
        self._devices = devices

    def send(self, verb: str, name: str, keys: str) -> bool:
        """Stamps and sends one line; ``keys`` are the words after the stamp, ``tail`` among them. Never blocks, never raises."""
        if self._lost:
            return self._send_after_loss(verb, name, keys)
        try:
            # A non-blocking write of up to PIPE_BUF (4096) bytes to a pipe happens whole or not at all: pipe(7).
            write(self._fd, f"{verb} {names[name]} t={monotonic_ns()}{keys}\n".encode())
        except BlockingIOError:
            with self._lock:
                self._lost += 1
            return False
        except OSError:  # EPIPE: the recorder ended. Anything else will not get better either.
            self.alive = False
            return False
        return True

    def send_begin(self, name: str, keys: str) -> None:
        """As :meth:`send`; the first one that goes through says what this rank runs on."""
        devices = self._devices
        if devices is None:
            self.send("begin", name, keys)
        elif self.send("begin", name, f"{keys} devices={devices}"):
            self._devices = None

    def _send_after_loss(self, verb: str, name: str, keys: str) -> bool:
        with self._lock:
            lost, self._lost = self._lost, 0
            sent = self.send(verb, name, f"{keys} dropped={lost}" if lost else keys)
            if not sent:
                self._lost += lost
            return sent


_pipe: Optional[Pipe] = None
_tried = False
_rank: Optional[int] = None
_devices: Optional[str] = None
_opening = threading.RLock()


def current() -> Optional[Pipe]:
    """The pipe of this process; ``None`` outside powerprof and after the recorder ended."""
    pipe = _pipe
    if pipe is not None:
        return pipe if pipe.alive else None
    return None if _tried else _open()


def set_rank(rank: int, devices: Optional[str]) -> None:
    """Explicit rank and devices, for this process and those it forks."""
    global _rank, _devices
    if not 0 <= rank <= _LARGEST_RANK:
        raise ValueError(f"rank={rank} is not a rank; hint: a whole number from 0 to {_LARGEST_RANK}")
    _rank, _devices = rank, devices
    if _pipe is not None:
        _pipe.speak_for(rank, devices)


def _open() -> Optional[Pipe]:
    global _pipe, _tried
    with _opening:
        if not _tried:
            path = os.environ.get("POWERPROF_MARKERS")
            if path:
                _pipe = _open_path(path)
            _tried = True
        return _pipe


def _open_path(path: str) -> Optional[Pipe]:
    try:
        # Never blocks (a FIFO that nobody reads is ENXIO), creates nothing, closed on exec. O_APPEND lets a plain file stand in.
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    except OSError:  # the limit on open files is below: the low number must do
        moved = fd
    else:
        os.close(fd)
    return Pipe(moved, _rank_from_env() if _rank is None else _rank, _devices)


def _rank_from_env() -> int:
    for variable in _RANK_VARIABLES:
        text = os.environ.get(variable, "").strip()
        if text.isascii() and text.isdigit() and int(text) <= _LARGEST_RANK:
            return int(text)
    return 0


def _after_fork_in_child() -> None:
    """The child opens a pipe of its own at its first marker: with its own rank, owing its parent's losses to nobody. Spans that
    were open keep the old pipe, which is dead here, so that only the parent ends them."""
    global _pipe, _tried, _opening
    if _pipe is not None:
        _pipe.alive = False
        try:
            os.close(_pipe._fd)
        except OSError:
            pass
    _pipe, _tried, _opening = None, False, threading.RLock()


os.register_at_fork(after_in_child=_after_fork_in_child)
