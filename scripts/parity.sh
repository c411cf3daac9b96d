#!/usr/bin/env bash
# LED and BigBird of lcbench against HuggingFace transformers, live: fresh random models, texts and seeds every time.
# LCBENCH_PARITY_SEED=N repeats a run. Needs what scripts/parity-deps.sh fetches (5 GB on disk, once).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh
scripts/parity-deps.sh
cargo build --release --workspace --example verify # the selection of the other commands: nothing is built twice
# Nothing is fetched from now on.
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error .venv-parity/bin/python adapters/lcbench/parity
