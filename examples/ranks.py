#!/usr/bin/env python3
"""Several ranks, as `torchrun` starts them: each fits its share of the data, and they average their gradients at every step.

    powerprof -- python3 examples/ranks.py [RANKS]

Each process has its number in RANK, where the client finds it, and says which device it runs on. The report gives each rank's spans the
energy of its own device; a shared one, the CPU, is divided among the ranks that are at work.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
from pathlib import Path
from typing import Any

try:
    import powerprof
except ModuleNotFoundError:  # not installed: take the one of this checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "adapters" / "python" / "src"))
    import powerprof

FEATURES = 24
SAMPLES_PER_STEP = 400
STEPS = 40
TRUTH = [1 / (1 + i) for i in range(FEATURES)]

Sample = tuple[list[float], float]


def dot(a: list[float], b: list[float]) -> float:
    return sum(map(float.__mul__, a, b))


def gradient_of(weights: list[float], batch: list[Sample]) -> list[float]:
    gradient = [0.0] * FEATURES
    for x, y in batch:
        error = dot(weights, x) - y
        gradient = [g + error * v for g, v in zip(gradient, x)]
    return [2 * g / len(batch) for g in gradient]


def train(rank: int, ranks: int, gradients: Any, everybody: Any) -> None:
    """The work of one rank. `gradients` is shared, FEATURES numbers for each rank; `everybody` waits for the slowest."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks))  # what torchrun sets
    powerprof.set_rank(rank, devices=rank)  # the rank it would find by itself; the device it has to be told
    with powerprof.phase("load"):
        rng = random.Random(rank)
        data: list[Sample] = []
        for _ in range(SAMPLES_PER_STEP):
            x = [rng.gauss(0, 1) for _ in range(FEATURES)]
            data.append((x, dot(TRUTH, x) + rng.gauss(0, 0.01)))
        everybody.wait()

    weights = [0.0] * FEATURES
    with powerprof.phase("train"):
        for index in range(STEPS):
            with powerprof.step(samples=len(data), index=index):  # samples of all ranks add up
                with powerprof.phase("backward"):
                    gradients[rank * FEATURES : (rank + 1) * FEATURES] = gradient_of(weights, data)
                with powerprof.phase("all-reduce"):
                    everybody.wait()
                    mean = [sum(gradients[i::FEATURES]) / ranks for i in range(FEATURES)]
                    everybody.wait()  # nobody overwrites what another still reads
                with powerprof.phase("optimizer"):
                    weights = [w - 0.1 * g for w, g in zip(weights, mean)]

    if rank == 0:
        error = max(abs(w - t) for w, t in zip(weights, TRUTH))
        powerprof.metric("error", error)
        print(f"{ranks} ranks, largest error of a weight {error:.4f}, recorded: {powerprof.active()}")


def main() -> int:
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    context = multiprocessing.get_context("spawn")
    gradients = context.Array("d", ranks * FEATURES)
    everybody = context.Barrier(ranks)
    workers = [context.Process(target=train, args=(rank, ranks, gradients, everybody)) for rank in range(ranks)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return max(abs(worker.exitcode or 0) for worker in workers)


if __name__ == "__main__":
    sys.exit(main())
