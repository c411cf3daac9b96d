#!/usr/bin/env bash
# What the tests need beside scripts/deps.sh, into .deps-test (git-ignored): h5py, to read recordings as a user would (30 MB).
set -euo pipefail
cd "$(dirname "$0")/.."
want="h5py==3.16.0 numpy==2.3.5"
[ "$(cat .deps-test/.stamp 2>/dev/null || true)" = "$want" ] && exit 0
echo "test-deps: fetching h5py into .deps-test (once, about 30 MB)" >&2
rm -rf .deps-test
# shellcheck disable=SC2086  # one word per wheel
python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --only-binary=:all: --target .deps-test $want
echo "$want" > .deps-test/.stamp
