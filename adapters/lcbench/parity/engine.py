"""lcbench's library as a process that answers requests (`examples/verify`), and the seed that all fresh cases come from."""

import json
import os
import pathlib
import random
import subprocess
import sys

ADAPTER = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ADAPTER / "goldens"))  # how reference models, vocabularies and scores are made

SEED = int(os.environ.get("LCBENCH_PARITY_SEED") or random.SystemRandom().randrange(2**31))


def rng(name):
    """Random numbers of one test, the same for the same seed whatever else runs."""
    return random.Random(f"{SEED} {name}")


class Engine:
    def __init__(self, environment=None):
        binary = os.environ.get("LCBENCH_VERIFY", ADAPTER.parent.parent / "target" / "release" / "examples" / "verify")
        self.process = subprocess.Popen(
            [str(binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})

    def ask(self, do, **what):
        request = {"do": do, **{k: str(v) if isinstance(v, pathlib.Path) else v for k, v in what.items()}}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"lcbench ended with status {self.process.wait()} on {request}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{answer['error']} on {request}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
