"""What the calls write: spans as `with` and as decorator, marks, metrics, ranks, and what becomes of bad values."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import os
import re
import time
import unittest
import warnings
from typing import Any, Iterator, cast

import powerprof
from channel import MarkerTest, forget_pipe


class SpansTest(MarkerTest):
    def test_nested_spans_with_their_work(self) -> None:
        before = time.monotonic_ns()
        with powerprof.phase("train"):
            with powerprof.step(samples=8, tokens=4096, index=7):
                with powerprof.span("forward"):
                    pass
            with powerprof.phase("epoch", index=2) as epoch:
                epoch.samples = 100
        after = time.monotonic_ns()
        raw = self.raw_lines()
        stamps = [int(cast("re.Match[str]", re.search(r" t=(\d+)", line))[1]) for line in raw]
        self.assertEqual(stamps, sorted(stamps))
        self.assertTrue(before <= stamps[0] and stamps[-1] <= after)
        self.assertEqual(
            [re.sub(r" t=\d+", "", line) for line in raw],
            [
                "begin train",
                "begin step index=7",
                "begin forward",
                "end forward",
                "end step samples=8 tokens=4096",
                "begin epoch index=2",
                "end epoch samples=100",
                "end train",
            ],
        )

    def test_an_exception_closes_spans_without_their_work(self) -> None:
        with self.assertRaises(KeyError):
            with powerprof.phase("train"), powerprof.step(samples=8):
                raise KeyError("x")
        self.assertEqual(self.lines(), ["begin train", "begin step", "end step", "end train"])

    def test_leaving_a_loop_is_no_exception(self) -> None:
        for _ in range(3):
            with powerprof.step(samples=8):
                break
        self.assertEqual(self.lines(), ["begin step", "end step samples=8"])

    def test_decorated_functions_keep_their_face_and_every_call_is_a_span(self) -> None:
        @powerprof.span("fact", samples=1)
        def factorial(n: int) -> int:
            """Doc."""
            return 1 if n == 0 else n * factorial(n - 1)

        self.assertEqual((factorial.__name__, factorial.__doc__), ("factorial", "Doc."))
        self.assertEqual(factorial(2), 2)
        self.assertEqual(self.lines(), ["begin fact"] * 3 + ["end fact samples=1"] * 3)

    def test_decorated_coroutines_last_until_they_are_awaited(self) -> None:
        @powerprof.phase("load")
        async def load() -> int:
            powerprof.mark("inside")
            await asyncio.sleep(0)
            return 5

        coroutine = load()
        self.assertEqual(self.lines(), [])
        self.assertEqual(asyncio.run(coroutine), 5)
        self.assertEqual(self.lines(), ["begin load", "mark inside", "end load"])

    def test_what_cannot_be_decorated_is_refused_at_once(self) -> None:
        def numbers() -> Iterator[int]:
            yield 1

        with self.assertRaisesRegex(TypeError, "hint: write `with`"):
            powerprof.phase("train")(numbers)
        with self.assertRaisesRegex(TypeError, "with parentheses"):
            powerprof.step(cast(Any, lambda: None))
        with self.assertRaises(TypeError):
            powerprof.phase("train")(cast(Any, 5))

    def test_sync_runs_before_each_stamp_but_not_after_a_failure(self) -> None:
        calls: list[int] = []

        def sync() -> None:
            calls.append(time.monotonic_ns())

        with powerprof.phase("forward", sync=sync):
            pass
        stamps = [int(line.split(" t=")[1]) for line in self.raw_lines()]
        self.assertTrue(calls[0] <= stamps[0] <= calls[1] <= stamps[1])

        powerprof.set_sync(sync)
        with self.assertRaises(ValueError), powerprof.phase("backward"):
            raise ValueError
        self.assertEqual(len(calls), 3)
        powerprof.set_sync(None)
        with powerprof.phase("optimizer"):
            pass
        self.assertEqual(len(calls), 3)

    def test_a_sync_that_fails_still_closes_its_span(self) -> None:
        failing = iter([None])
        with self.assertRaises(StopIteration), powerprof.phase("forward", sync=lambda: next(failing)):
            pass
        self.assertEqual(self.lines(), ["begin forward", "end forward"])


class ValuesTest(MarkerTest):
    def test_marks_and_metrics(self) -> None:
        powerprof.mark("checkpoint")
        powerprof.mark("batch", samples=8, tokens=16)
        for value in (0.25, 3, 1e-5, -1.7976931348623157e308, math.inf, math.nan, True):
            powerprof.metric("loss", value)
        values = ["0.25", "3.0", "1e-05", "-1.7976931348623157e+308", "inf", "nan", "1.0"]
        self.assertEqual(
            self.lines(),
            ["mark checkpoint", "mark batch samples=8 tokens=16", *(f"metric loss value={value}" for value in values)],
        )

    def test_names_are_made_valid(self) -> None:
        for name in ("epoch 3", "größe", "", "a/b\n", "x" * 100, cast(str, 12)):
            powerprof.mark(name)
        names = [line.split(" ")[1] for line in self.lines()]
        self.assertEqual(names, ["epoch_3", "gr____e", "_", "a_b_", "x" * 64, "12"])

    def test_many_names_do_not_fill_the_memory(self) -> None:
        from powerprof._text import names

        for number in range(5000):
            powerprof.mark(f"name-{number}")
        self.assertLessEqual(len(names), 1024)

    def test_what_counts_is_taken_and_the_rest_left_out_with_a_warning(self) -> None:
        class Tensor:
            def __int__(self) -> int:
                return 4

            def __eq__(self, other: object) -> bool:
                return other == 4

        powerprof.mark("a", samples=cast(int, Tensor()))
        powerprof.mark("b", samples=cast(int, 4.0))
        self.assertEqual(self.lines(), ["mark a samples=4", "mark b samples=4"])
        for bad in (-1, 2**64, 1.5, "many", object(), math.nan):
            with self.assertWarnsRegex(RuntimeWarning, "left out"):
                powerprof.mark("c", samples=cast(int, bad))
        with self.assertWarnsRegex(RuntimeWarning, "value='low'"):
            powerprof.metric("loss", cast(float, "low"))
        self.assertEqual(self.lines(), ["mark c"] * 6)

    def test_a_filter_that_makes_errors_of_warnings_does_not_reach_the_trainer(self) -> None:
        class Unprintable:
            def __repr__(self) -> str:
                raise ValueError("no text")

        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()) as told:
            warnings.simplefilter("error")
            with powerprof.phase("train"):
                with powerprof.step(samples=cast(int, 2.5)):
                    pass
                with powerprof.step(samples=cast(int, 3.5)):
                    pass
                powerprof.mark("a", samples=cast(int, Unprintable()))
        self.assertEqual(
            self.lines(), ["begin train", "begin step", "end step", "begin step", "end step", "mark a", "end train"]
        )
        self.assertEqual(told.getvalue().count("left out"), 1)
        self.assertIn("samples=2.5", told.getvalue())

    def test_rank_and_devices(self) -> None:
        powerprof.set_rank(3, devices=[0, "GPU-1a"])
        with powerprof.phase("train"):
            powerprof.set_rank(4)
            powerprof.mark("x")
        self.assertEqual(self.lines(), ["begin train rank=3 devices=0,GPU-1a", "mark x rank=4", "end train rank=3"])
        powerprof.set_rank(4, devices=1)
        with powerprof.phase("a"), powerprof.phase("b"):
            pass
        self.assertEqual(self.lines()[:2], ["begin a rank=4 devices=1", "begin b rank=4"])
        for bad in ("0, 1", "", "0,,1", "é", "0" * 900):
            with self.assertRaisesRegex(ValueError, "hint: indices or UUIDs"):
                powerprof.set_rank(0, devices=bad)
        for rank in (-1, 2**32):
            with self.assertRaisesRegex(ValueError, "hint: a whole number"):
                powerprof.set_rank(rank)

    def test_the_rank_of_the_innermost_launcher(self) -> None:
        for variables, rank in (
            ({"RANK": "6", "SLURM_PROCID": "1"}, " rank=6"),
            ({"PMI_RANK": "3", "SLURM_PROCID": "1"}, " rank=3"),
            ({"OMPI_COMM_WORLD_RANK": "2"}, " rank=2"),
            ({"RANK": "gold", "SLURM_PROCID": "5"}, " rank=5"),
            ({"RANK": "0"}, ""),
            ({"RANK": "-1"}, ""),
        ):
            with self.subTest(variables), warnings.catch_warnings():
                forget_pipe()
                os.environ.update(variables)
                powerprof.mark("x")
                for variable in variables:
                    del os.environ[variable]
                self.assertEqual(self.lines(), [f"mark x{rank}"])


if __name__ == "__main__":
    unittest.main()
