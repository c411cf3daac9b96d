"""A marker pipe with its reader, for tests: everything that arrives, as lines and without their stamps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Optional

from powerprof import _pipe, set_sync

SOURCE = Path(__file__).resolve().parents[1] / "src"
RANK_VARIABLES = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")

LINE = re.compile(r"(begin|end|mark|metric) [A-Za-z0-9_.-]{1,64}( [a-z]+=[!-~]+)*")


def forget_pipe() -> None:
    """As in a process that has sent nothing yet."""
    _pipe._pipe, _pipe._tried, _pipe._rank, _pipe._devices = None, False, None, None
    set_sync(None)


class MarkerTest(unittest.TestCase):
    """A FIFO whose path is in the environment, read here, and a client that has not opened it yet."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fifo = os.path.join(folder.name, "markers")
        os.mkfifo(self.fifo, 0o600)
        self.reader = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(self.close_reader)
        before = dict(os.environ)
        self.addCleanup(os.environ.update, before)
        self.addCleanup(os.environ.clear)  # cleanups run last first
        for variable in RANK_VARIABLES:
            os.environ.pop(variable, None)
        os.environ["POWERPROF_MARKERS"] = self.fifo
        forget_pipe()
        self.addCleanup(forget_pipe)

    def close_reader(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    def raw_lines(self) -> list[str]:
        """What is in the pipe now; fails on anything that is not the wire format."""
        data = b""
        while True:
            try:
                part = os.read(self.reader, 1 << 17)
            except BlockingIOError:
                break
            if not part:
                break
            data += part
        self.assertTrue(not data or data.endswith(b"\n"), "only whole lines arrive")
        lines = data.decode("ascii").splitlines()
        for line in lines:
            self.assertRegex(line, re.compile(f"^{LINE.pattern}$"))
            self.assertLessEqual(len(line), 1023)
        return lines

    def lines(self) -> list[str]:
        """As :meth:`raw_lines`, without the stamps, each of which must be there."""
        lines = self.raw_lines()
        for line in lines:
            self.assertEqual(len(re.findall(r" t=\d+\b", line)), 1, line)
        return [re.sub(r" t=\d+", "", line) for line in lines]

    def python(self, program: str, markers: Optional[str] = None, **variables: str) -> str:
        """Output of a program of its own, with ``markers`` as its pipe (default: this one; ``""``: none)."""
        environment = {name: value for name, value in os.environ.items() if name != "POWERPROF_MARKERS"}
        environment.update(variables, PYTHONPATH=str(SOURCE))
        path = self.fifo if markers is None else markers
        if path:
            environment["POWERPROF_MARKERS"] = path
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


def dropped(lines: list[str]) -> int:
    return sum(int(n) for line in lines for n in re.findall(r" dropped=(\d+)", line))
