"""Outside powerprof, a full pipe, a reader that left, threads, fork and spawn."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import threading
import time
import unittest

import powerprof
from channel import MarkerTest, dropped, forget_pipe


def spawned() -> None:
    with powerprof.step(samples=2):
        pass


class OutsideTest(MarkerTest):
    PROGRAM = (
        "import os, powerprof\n"
        "before = os.listdir('/proc/self/fd')\n"
        "with powerprof.phase('train'), powerprof.step(samples=1): powerprof.metric('loss', 1.0)\n"
        "print(powerprof.active(), before == os.listdir('/proc/self/fd'))"
    )

    def test_nothing_happens_without_a_pipe(self) -> None:
        nobody_reads = self.fifo + "-unread"
        os.mkfifo(nobody_reads)
        for markers in ("", self.fifo + "-missing", os.path.dirname(self.fifo), nobody_reads):
            with self.subTest(markers):
                self.assertEqual(self.python(self.PROGRAM, markers), "False True\n")
        self.assertFalse(os.path.exists(self.fifo + "-missing"), "nothing is created")

    def test_the_same_program_is_heard_inside(self) -> None:
        self.assertEqual(self.python(self.PROGRAM), "True False\n")
        self.assertEqual(len(self.lines()), 5)

    def test_importing_opens_nothing_and_imports_no_trainer(self) -> None:
        program = (
            "import sys, powerprof, powerprof.integrations.transformers, powerprof.integrations.lightning\n"
            "print(powerprof._pipe._tried, [m for m in ('torch', 'transformers', 'lightning') if m in sys.modules])"
        )
        self.assertEqual(self.python(program), "False []\n")

    def test_a_plain_file_can_stand_in(self) -> None:
        path = self.fifo + ".log"
        with open(path, "w") as file:
            file.write("mark already-here\n")
        self.python("import powerprof; powerprof.mark('added')", path)
        with open(path) as file:
            self.assertEqual([line.split()[1] for line in file], ["already-here", "added"])


class PipeTest(MarkerTest):
    def test_a_full_pipe_loses_lines_counts_them_and_says_so_once(self) -> None:
        sent = 20_000
        for _ in range(sent):
            powerprof.mark("flood")  # a client that blocked here would hang the test: nobody reads
        before = self.lines()
        self.assertTrue(100 < len(before) < sent)
        self.assertEqual(dropped(before), 0)
        powerprof.mark("first")
        powerprof.mark("second")
        self.assertEqual(self.lines(), [f"mark first dropped={sent - len(before)}", "mark second"])

    def test_devices_are_said_with_the_first_begin_that_goes_through(self) -> None:
        powerprof.set_rank(0, devices=0)
        for _ in range(10_000):
            powerprof.mark("flood")
        with powerprof.phase("lost"):
            pass
        self.lines()
        with powerprof.phase("train"):
            pass
        self.assertRegex(self.lines()[0], r"^begin train devices=0 dropped=\d+$")

    def test_a_reader_that_leaves_silences_the_client(self) -> None:
        with powerprof.phase("train"):
            self.assertTrue(powerprof.active())
            self.close_reader()
            powerprof.mark("into-the-void")
            self.assertFalse(powerprof.active())

    def test_the_descriptor_is_out_of_the_way_and_not_inherited(self) -> None:
        powerprof.mark("x")
        pipe = powerprof._pipe.current()
        assert pipe is not None
        self.assertGreaterEqual(pipe._fd, 512)
        self.assertFalse(os.get_inheritable(pipe._fd))
        self.assertFalse(os.get_blocking(pipe._fd))

    def test_a_low_limit_on_open_files_is_no_obstacle(self) -> None:
        program = (
            "import resource, powerprof\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
            "powerprof.mark('x'); print(powerprof.active())"
        )
        self.assertEqual(self.python(program), "True\n")
        self.assertEqual(self.lines(), ["mark x"])
        self.assertGreater(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 64)

    def test_closing_every_descriptor_silences_and_harms_nobody(self) -> None:
        victim = self.fifo + ".checkpoint"
        program = (
            "import os, powerprof\n"
            "powerprof.mark('before')\n"
            f"os.closerange(3, 4096); fd = os.open({victim!r}, os.O_CREAT | os.O_WRONLY)\n"
            "powerprof.mark('after'); print(powerprof.active())"
        )
        self.assertEqual(self.python(program), "False\n")
        self.assertEqual(self.lines(), ["mark before"])
        self.assertEqual(os.path.getsize(victim), 0)


class ThreadsTest(MarkerTest):
    def test_lines_of_threads_are_whole_and_all_accounted_for(self) -> None:
        threads, each = 8, 1500

        def work(thread: int) -> None:
            for i in range(each):
                powerprof.metric(f"thread-{thread}", i)

        switch = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # provoke what would go wrong
        try:
            workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
            for worker in workers:
                worker.start()
            lines: list[str] = []
            while any(worker.is_alive() for worker in workers):
                lines += self.lines()
                time.sleep(0.002)
        finally:
            sys.setswitchinterval(switch)
        lines += self.lines()
        powerprof.mark("last")  # carries what was lost and not said yet
        lines += self.lines()
        self.assertEqual(len(lines) + dropped(lines), threads * each + 1)
        for thread in range(threads):
            values = [float(line.split("value=")[1].split()[0]) for line in lines if f" thread-{thread} " in line]
            self.assertEqual(values, sorted(values))


class ForkTest(MarkerTest):
    def in_child(self, work: "object") -> None:
        """Runs this in a forked child, which must end with status 0."""
        pid = os.fork()
        if pid == 0:
            try:
                assert callable(work)
                work()
                os._exit(0)
            except BaseException:
                os._exit(1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def test_a_child_writes_on_and_reports_only_its_own_losses(self) -> None:
        for _ in range(10_000):
            powerprof.mark("flood")
        lost = 10_000 - len(self.lines())
        self.in_child(lambda: powerprof.mark("child"))
        powerprof.mark("parent")
        self.assertEqual(self.lines(), ["mark child", f"mark parent dropped={lost}"])

    def test_a_span_is_ended_by_the_process_that_began_it(self) -> None:
        def child() -> None:
            with powerprof.phase("own"):  # opens a pipe of the child's own, perhaps under the same number
                pass
            span.__exit__(None, None, None)

        with powerprof.phase("train") as span:
            self.in_child(child)
        self.assertEqual(self.lines(), ["begin train", "begin own", "end own", "end train"])

    def test_a_child_learns_its_own_rank(self) -> None:
        powerprof.mark("parent")

        def child() -> None:
            os.environ["RANK"] = "2"
            powerprof.mark("child")

        self.in_child(child)
        self.assertEqual(self.lines(), ["mark parent", "mark child rank=2"])

    def test_fork_while_a_thread_holds_the_locks(self) -> None:
        powerprof.mark("open")
        pipe = powerprof._pipe.current()
        assert pipe is not None
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with powerprof._pipe._opening, pipe._lock:
                held.set()
                release.wait()

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        try:
            self.in_child(lambda: powerprof.mark("child"))
        finally:
            release.set()
            holder.join()
        self.assertEqual(self.lines(), ["mark open", "mark child"])

    def test_spawned_processes_open_the_pipe_themselves(self) -> None:
        with powerprof.phase("train"):
            process = multiprocessing.get_context("spawn").Process(target=spawned)
            process.start()
            process.join(60)
        self.assertEqual(process.exitcode, 0)
        self.assertEqual(self.lines(), ["begin train", "begin step", "end step samples=2", "end train"])

    def test_a_client_that_found_nothing_looks_again_in_a_child(self) -> None:
        path = os.environ.pop("POWERPROF_MARKERS")
        forget_pipe()
        self.assertFalse(powerprof.active())

        def child() -> None:
            os.environ["POWERPROF_MARKERS"] = path
            powerprof.mark("child")

        self.in_child(child)
        self.assertEqual(self.lines(), ["mark child"])


if __name__ == "__main__":
    unittest.main()
