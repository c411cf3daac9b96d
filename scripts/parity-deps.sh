#!/usr/bin/env bash
# What lcbench is compared with, and what the Python callbacks are tried in, into .venv-parity (git-ignored): transformers and
# Lightning on the torch whose libtorch scripts/deps.sh fetches (about 5 GB: torch's Python half wants all of its CUDA wheels, with
# a GPU or without). Idempotent: a stamp holds the list.
set -euo pipefail
cd "$(dirname "$0")/.."
want="torch==2.11.0 transformers==5.23.0 tokenizers==0.23.3 safetensors==0.8.0 sentencepiece==0.2.3 protobuf==7.36.2 rouge-score==0.1.2 numpy==2.3.5 accelerate==1.15.0 lightning==2.6.6 pytorch-lightning==2.6.6"
[ "$(cat .venv-parity/.stamp 2>/dev/null || true)" = "$want" ] && exit 0
echo "parity-deps: fetching transformers and all of torch into .venv-parity (once, about 5 GB on disk)" >&2
rm -rf .venv-parity
python3 -m venv .venv-parity
# What the caller's PYTHONPATH holds, pip would take for installed and leave out.
# shellcheck disable=SC2086  # one word per package
env -u PYTHONPATH .venv-parity/bin/pip install -q --disable-pip-version-check $want
echo "$want" > .venv-parity/.stamp
