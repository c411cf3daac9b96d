#!/usr/bin/env bash
# Every check, from nothing: format, lints, docs, all tests of the workspace and of the Python package.
#   ./test.sh             what needs no GPU, no root and no large download beyond scripts/deps.sh
#   ./test.sh --parity    and LED and BigBird against HuggingFace transformers on fresh random models (a 5 GB virtual environment)
# GPU checks run only with POWERPROF_TEST_GPU=1.
set -euo pipefail
cd "$(dirname "$0")"
parity=0
for word in "$@"; do
    case "$word" in
        --parity) parity=1 ;;
        *) echo "test.sh: unknown option $word (there is --parity)" >&2; exit 2 ;;
    esac
done
scripts/deps.sh
scripts/test-deps.sh
export PYTHONPATH="$PWD/.deps-test${PYTHONPATH:+:$PYTHONPATH}" INSTA_UPDATE=no

step() { printf '\n== %s\n' "$*"; "$@"; }
step cargo fmt --all --check
step cargo build --release --workspace
step cargo clippy --release --workspace --all-targets -- -D warnings
step env RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps
step cargo test --release --workspace
python=python3
if [ $parity = 1 ]; then
    step scripts/parity.sh
    # Here is a Python with torch, transformers and Lightning: what the tests below skip without them runs.
    python="$PWD/.venv-parity/bin/python"
    step env POWERPROF_TEST_TORCH_PYTHON="$python" cargo test --release --workspace --test cli examples::
else
    echo "skipped: live parity with transformers, and the examples and callbacks that need torch (./test.sh --parity)"
fi
step env PYTHONPATH="$PWD/adapters/python/src:$PYTHONPATH" "$python" -m unittest discover -v -s adapters/python/tests
[ "${POWERPROF_TEST_GPU:-}" = 1 ] || echo "skipped: checks on a real GPU (POWERPROF_TEST_GPU=1)"
