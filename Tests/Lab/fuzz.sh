#!/bin/sh
# `make fuzz`: libFuzzer on every entry point, for so many seconds each (first argument, 60 by default).
# Inputs that were found to matter are kept in Tests/Fuzz/Corpus/NAME; a crash leaves its input in
# Tests/Fuzz/Regressions/NAME, where the ordinary tests replay it from then on.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
export SKYWAVE_FUZZ=1
build="--scratch-path .build/fuzz -c release"
failed=0
for folder in Tests/Fuzz/Fuzz*/; do
    name=$(basename "$folder")
    echo "== $name"
    # shellcheck disable=SC2086 # options are a list of words
    swift build $build --product "$name" 2>&1 | grep -E 'error|warning: unre|Compiling.*Fuzz|Build' || true
    # shellcheck disable=SC2086
    binary="$(swift build $build --show-bin-path)/$name"
    [ -x "$binary" ] || { echo "$name was not built"; failed=1; continue; }
    seeds="Tests/Fuzz/Corpus/$name"
    crashes="Tests/Fuzz/Regressions/$name"
    working=".build/fuzz/corpus/$name"
    mkdir -p "$crashes" "$working"
    [ -d "$seeds" ] || seeds=""
    # New inputs go to the working folder; the committed ones are only read.
    # shellcheck disable=SC2086
    "$binary" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$crashes/" "$working" $seeds "$crashes" >".build/fuzz/$name.log" 2>&1 || {
        echo "$name FAILED; the input is in $crashes"
        tail -n 30 ".build/fuzz/$name.log"
        failed=1
        continue
    }
    grep -E 'stat::number_of_executed_units|stat::average_exec_per_sec|stat::peak_rss_mb|cov:' ".build/fuzz/$name.log" |
        tail -n 4
    rmdir "$crashes" 2>/dev/null || true
done
exit "$failed"
