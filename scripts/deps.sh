#!/usr/bin/env bash
# What the build needs beside cargo, a C/C++ compiler and Python 3 with pip, into .deps (git-ignored):
# libtorch (three wheels, enough for a CPU; 543 MB to download, 1.2 GB on disk) and a cmake new enough for HDF5.
# Idempotent: a stamp holds the list, so a second call takes milliseconds.
set -euo pipefail
cd "$(dirname "$0")/.."
want="torch==2.11.0 nvidia-cuda-cupti==13.0.85 nvidia-cuda-runtime==13.0.96 cmake==4.4.4"
[ "$(cat .deps/.stamp 2>/dev/null || true)" = "$want" ] && exit 0
echo "deps: fetching libtorch and cmake into .deps (once, about 550 MB)" >&2
rm -rf .deps
# shellcheck disable=SC2086  # one word per wheel
python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-deps --only-binary=:all: --target .deps $want
rm -rf .deps/bin
chmod +x .deps/cmake/data/bin/cmake
echo "$want" > .deps/.stamp
