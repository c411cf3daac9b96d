"""What a marker costs the trainer. Prints, asserts nothing: machines differ.

Median and 99th percentile of single markers into a FIFO that another process drains, and the same outside powerprof. The two
clock readings around each marker are part of the figure; their own cost is printed first, and that of a bare ``os.write``.

Two readers: one waits for each line, and waking it is part of what the writer pays; one collects for a millisecond.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

MARKERS = 30_000
#: A pause every so often, as between the phases of a step: a loop without any measures how fast the reader drains.
BURST = 16
PAUSE_S = 50e-6


def show(what: str, marker: Callable[[], object]) -> None:
    clock = time.perf_counter_ns
    times_ns = []
    for i in range(MARKERS):
        start = clock()
        marker()
        times_ns.append(clock() - start)
        if i % BURST == 0:
            time.sleep(PAUSE_S)
    times_ns.sort()
    print(f"{what:50} {times_ns[MARKERS // 2]:10} {times_ns[MARKERS // 100 * 99]:8}")


def span(make: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with make():  # type: ignore[attr-defined]
            pass

    return run


def figures() -> None:
    import powerprof

    path = os.environ.get("POWERPROF_MARKERS")
    if path is None:
        show("  two clock readings, no marker", lambda: None)
    else:
        fd, line = os.open(path, os.O_WRONLY | os.O_NONBLOCK), b"mark forward t=1234567890123\n"

        def bare() -> None:
            try:
                os.write(fd, line)
            except BlockingIOError:  # the reader is starved on a busy machine
                pass

        show("  bare os.write of a line", bare)
    show("  mark", lambda: powerprof.mark("forward"))
    show("  metric", lambda: powerprof.metric("loss", 0.1234567890123456))
    show("  phase (two markers)", span(lambda: powerprof.phase("forward")))
    show("  step with samples, tokens, index (two markers)", span(lambda: powerprof.step(32, 32768, 123456)))
    if powerprof.active() != (path is not None):
        sys.exit("the client lost its pipe: the figures above are not those of a marker")


def drain(path: str, pause_s: float) -> None:
    fd = os.open(path, os.O_RDONLY)
    while os.read(fd, 1 << 17):
        if pause_s:
            time.sleep(pause_s)


def main() -> None:
    if sys.argv[1:] == ["figures"]:
        return figures()
    if sys.argv[1:2] == ["drain"]:
        return drain(sys.argv[2], float(sys.argv[3]))
    print(f"{MARKERS} markers each, in bursts of {BURST}; ns {'median':>18} {'p99':>8}")
    me = [sys.executable, __file__]
    outside = {name: value for name, value in os.environ.items() if name != "POWERPROF_MARKERS"}
    print("outside powerprof")
    subprocess.run([*me, "figures"], env=outside, check=True)
    for what, pause_s in (("a reader that collects for 1 ms", 1e-3), ("a reader that wakes for each line", 0.0)):
        print(what)
        with tempfile.TemporaryDirectory() as folder:
            fifo = str(Path(folder) / "markers")
            os.mkfifo(fifo, 0o600)
            held_open = os.open(fifo, os.O_RDWR)
            with subprocess.Popen([*me, "drain", fifo, str(pause_s)]) as reader:
                try:
                    subprocess.run([*me, "figures"], env={**outside, "POWERPROF_MARKERS": fifo}, check=True)
                finally:
                    os.close(held_open)  # the reader sees the end


if __name__ == "__main__":
    main()
