"""python adapters/lcbench/parity: everything here, on fresh random cases. The seed is printed; LCBENCH_PARITY_SEED sets it."""

import os
import pathlib
import sys
import unittest

os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars of saving
# Threads that wait, sleep: what is compared here is figures, not time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import engine  # noqa: E402

print(f"seed of this run: LCBENCH_PARITY_SEED={engine.SEED}", flush=True)
tests = unittest.defaultTestLoader.discover(str(pathlib.Path(__file__).resolve().parent))
result = unittest.TextTestRunner(verbosity=2).run(tests)
if not result.wasSuccessful():
    print(f"again: LCBENCH_PARITY_SEED={engine.SEED} scripts/parity.sh", file=sys.stderr)
sys.exit(not result.wasSuccessful())
