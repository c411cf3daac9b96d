#!/usr/bin/env python3
"""A load for `powerprof calibrate` on a GPU: busy when told `on`, idle when told `off`.

    powerprof calibrate --gpus 0 --write -- python3 examples/square_wave.py

The protocol is one word a line on standard input; the load answers with the word and the time (CLOCK_MONOTONIC, nanoseconds)
at which the GPU really became busy or idle, so that its own lateness is no part of the sensor's delay. It goes when its input ends.
Needs torch with CUDA; says so and leaves with 77 where there is none.
"""

import sys
import threading
import time


def main() -> int:
    try:
        import torch
    except ImportError:
        print("skipped: torch is not installed", file=sys.stderr)
        return 77
    if not torch.cuda.is_available():
        print("skipped: torch sees no CUDA GPU", file=sys.stderr)
        return 77

    # One multiplication takes a fraction of a millisecond, which is how sharply the load can end.
    size = 2048
    a = torch.randn(size, size, device="cuda", dtype=torch.float16)
    b = torch.randn(size, size, device="cuda", dtype=torch.float16)
    torch.matmul(a, b)
    torch.cuda.synchronize()

    wanted = threading.Event()
    changed = threading.Condition()
    leaving = False

    def listen() -> None:
        nonlocal leaving
        for line in sys.stdin:
            with changed:
                wanted.set() if line.strip() == "on" else wanted.clear()
                changed.notify()
        with changed:
            leaving = True
            changed.notify()

    threading.Thread(target=listen, daemon=True).start()

    def say(word: str) -> None:
        print(word, time.monotonic_ns(), flush=True)

    busy = False
    while not leaving:
        if wanted.is_set():
            if not busy:
                torch.matmul(a, b)
                say("on")
                busy = True
            # A short queue keeps the GPU busy, and is drained soon after `off`.
            for _ in range(4):
                torch.matmul(a, b)
            torch.cuda.synchronize()
        elif busy:
            torch.cuda.synchronize()
            say("off")
            busy = False
        else:
            with changed:
                if not wanted.is_set() and not leaving:
                    changed.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
