#!/usr/bin/env python3
"""A PyTorch training loop that says its phases: a small network learns where a spiral winds.

    powerprof -- python3 examples/pytorch_loop.py [--sync]

On a GPU, Python only launches the work of a phase and goes on. `--sync` waits for the GPU at every edge: exact phases, but launching
and computing no longer overlap, so the run itself changes. Without it, phases shorter than the queue of launched work are approximate;
steps are exact here either way, because reading the loss waits for the GPU.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

try:
    import powerprof
except ModuleNotFoundError:  # not installed: take the one of this checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "adapters" / "python" / "src"))
    import powerprof

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    print(f"pytorch_loop.py needs torch ({error}); hint: pip install torch", file=sys.stderr)
    sys.exit(77)  # what test runners take for "skipped"

BATCH = 512


def spirals(count: int) -> tuple[Tensor, Tensor]:
    """Two spirals, one wound into the other: (count, 2) points and (count,) labels."""
    labels = torch.randint(2, (count,))
    turn = torch.rand(count).sqrt() * 2.5 * math.pi
    angle = turn + math.pi * labels
    points = turn.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], dim=1) / 4
    return points + 0.05 * torch.randn(count, 2), labels


def accuracy(model: nn.Module, points: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((model(points).argmax(dim=1) == labels).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description="A PyTorch training loop that says its phases.")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--sync", action="store_true", help="wait for the GPU at every edge of a phase")
    arguments = parser.parse_args()

    with powerprof.phase("load"):
        torch.manual_seed(0)
        torch.set_num_threads(1)  # the network is too small for more: they would wait for each other
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if arguments.sync and device.type == "cuda":
            powerprof.set_sync(torch.cuda.synchronize)
        points, labels = (part.to(device) for part in spirals(8192))
        held_out_points, held_out_labels = (part.to(device) for part in spirals(4096))
        model = nn.Sequential(nn.Linear(2, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, 2)).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    with powerprof.phase("train"):
        for index in range(arguments.steps):
            with powerprof.step(samples=BATCH, index=index):
                with powerprof.phase("data"):
                    rows = torch.randint(len(points), (BATCH,), device=device)
                    x, y = points[rows], labels[rows]  # (BATCH, 2), (BATCH,)
                with powerprof.phase("forward"):
                    loss = nn.functional.cross_entropy(model(x), y)
                with powerprof.phase("backward"):
                    optimizer.zero_grad()
                    loss.backward()
                with powerprof.phase("optimizer"):
                    optimizer.step()
                last_loss = loss.item()
            if index % 10 == 0:
                powerprof.metric("loss", last_loss)

    with powerprof.span("validate", samples=len(held_out_points)):
        score = accuracy(model, held_out_points, held_out_labels)
    powerprof.metric("accuracy", score)
    print(f"{device}: loss {last_loss:.3f}, accuracy {score:.1%}, recorded: {powerprof.active()}")


if __name__ == "__main__":
    main()
