#!/usr/bin/env bash
# The main job, from nothing: fetch what is missing, build, train LED-tiny under powerprof, show the report, draw the picture.
# Arguments go to lcbench-train: ./run.sh --seq-len 2048 --max-steps 50
set -euo pipefail
cd "$(dirname "$0")"
scripts/deps.sh
cargo build --release --workspace
mkdir -p runs
run="runs/lcbench-$(date -u +%Y%m%dT%H%M%SZ)"
if [ $# -eq 0 ]; then set -- --seq-len 512 --max-steps 60; fi
status=0
target/release/powerprof -o "$run.h5" -- target/release/lcbench-train --model led-tiny "$@" || status=$?
if [ -e "$run.h5" ]; then
    target/release/powerprof plot "$run.h5" -o "$run.svg"
    echo "report again: target/release/powerprof report $run.h5" >&2
    echo "picture:      $run.svg" >&2
fi
exit $status
