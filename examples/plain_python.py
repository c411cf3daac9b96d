#!/usr/bin/env python3
"""A Python trainer that says its phases: logistic regression by gradient descent, standard library only.

    powerprof -- python3 examples/plain_python.py

Runs the same without powerprof: the calls then do nothing.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

try:
    import powerprof
except ModuleNotFoundError:  # not installed: take the one of this checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "adapters" / "python" / "src"))
    import powerprof

FEATURES = 32
BATCH = 256
STEPS = 60
LEARNING_RATE = 1.0

Sample = tuple[list[float], int]


def generate(count: int, rng: random.Random) -> list[Sample]:
    """Points on both sides of a plane through the origin, one in twenty on the wrong one."""
    plane = [(-1) ** i / (1 + i) for i in range(FEATURES)]
    samples = []
    for _ in range(count):
        x = [rng.gauss(0, 1) for _ in range(FEATURES)]
        label = int(dot(plane, x) > 0)
        samples.append((x, label if rng.random() > 0.05 else 1 - label))
    return samples


def dot(a: list[float], b: list[float]) -> float:
    return sum(map(float.__mul__, a, b))


def probability(weights: list[float], x: list[float]) -> float:
    return 1 / (1 + math.exp(-dot(weights, x)))


@powerprof.phase("validate")  # a decorator: each call is a span
def validate(weights: list[float], samples: list[Sample]) -> float:
    right = sum((probability(weights, x) > 0.5) == bool(label) for x, label in samples)
    powerprof.mark("scored", samples=len(samples))  # work that is done now, inside whatever span is open
    return right / len(samples)


def main() -> None:
    rng = random.Random(0)
    with powerprof.phase("load"):
        training, validation = generate(4096, rng), generate(4096, rng)

    weights = [0.0] * FEATURES
    with powerprof.phase("train"):
        for index in range(STEPS):
            with powerprof.step(samples=BATCH, index=index):
                with powerprof.phase("data"):
                    batch = rng.sample(training, BATCH)
                with powerprof.phase("forward"):
                    predictions = [probability(weights, x) for x, _ in batch]
                    loss = -sum(math.log(p if y else 1 - p) for p, (_, y) in zip(predictions, batch)) / BATCH
                with powerprof.phase("backward"):
                    gradient = [0.0] * FEATURES
                    for p, (x, y) in zip(predictions, batch):
                        gradient = [g + (p - y) * v for g, v in zip(gradient, x)]
                with powerprof.phase("optimizer"):
                    weights = [w - LEARNING_RATE * g / BATCH for w, g in zip(weights, gradient)]
            powerprof.metric("loss", loss)

    accuracy = validate(weights, validation)
    powerprof.metric("accuracy", accuracy)
    print(f"loss {loss:.3f}, accuracy {accuracy:.1%}, recorded: {powerprof.active()}")


if __name__ == "__main__":
    main()
