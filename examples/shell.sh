#!/bin/sh
# Markers from a shell: a straight line fitted by gradient descent in awk, with `load`, `train`, `step` and `validate`.
#
#     powerprof -- examples/shell.sh [SAMPLES]
#
# In a script that lives for a minute this is all it takes:
#
#     echo "begin train" > "$POWERPROF_MARKERS"
#
# The function below is for scripts that must not care whether anybody listens.
set -eu

if [ -p "${POWERPROF_MARKERS:-}" ]; then
    # Opened once, while the recorder surely reads: opening a FIFO that nobody reads any more would wait for ever.
    exec 9>"$POWERPROF_MARKERS"
    # In a subshell that ignores SIGPIPE, so that a recorder that ended leaves this script running. No `t=`: the recorder
    # takes the time of arrival, which is as good as a shell can do.
    marker() { (trap '' PIPE; echo "$*" >&9) 2>/dev/null || :; }
else
    marker() { :; } # outside powerprof
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# y = 3x - 2 with a little noise, SAMPLES lines of "x y".
generate() { # SAMPLES SEED
    awk -v n="$1" -v seed="$2" 'BEGIN {
        srand(seed)
        for (i = 0; i < n; i++) { x = 2 * rand() - 1; print x, 3 * x - 2 + 0.1 * (rand() - 0.5) }
    }'
}

# One pass over the data from weights "w b": the new weights and the mean squared error before it.
descend() { # WEIGHTS LEARNING_RATE < DATA
    awk -v weights="$1" -v rate="$2" '
        BEGIN { split(weights, p, " "); w = p[1]; b = p[2] }
        { error = w * $1 + b - $2; dw += error * $1; db += error; loss += error * error }
        END { printf "%.6f %.6f %.6f\n", w - rate * 2 * dw / NR, b - rate * 2 * db / NR, loss / NR }'
}

samples=${1:-1000000} # half a second a step: long enough for a GPU's sensor
marker begin load
generate "$samples" 1 > "$work/train"
generate "$((samples / 4))" 2 > "$work/validation"
marker end load "samples=$((samples + samples / 4))"

weights="0 0"
marker begin train
for index in 0 1 2 3 4 5 6 7 8 9 10 11; do
    marker begin step "index=$index"
    result=$(descend "$weights" 0.4 < "$work/train")
    marker end step "samples=$samples"
    weights=${result% *}
    marker metric loss "value=${result##* }"
done
marker end train

marker begin validate
result=$(descend "$weights" 0 < "$work/validation")
marker end validate "samples=$((samples / 4))"
marker metric validation_loss "value=${result##* }"
echo "y = ${weights% *} x + ${weights#* } (true: 3, -2), validation loss ${result##* }"
