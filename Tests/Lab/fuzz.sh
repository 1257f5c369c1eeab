#!/bin/bash
# Runs every fuzz entry for a while and keeps what it finds.
#   Tests/Lab/fuzz.sh [SECONDS] [TARGET...]      default: 60 seconds each, all Tests/Fuzz/Fuzz*
# Inputs to start from are in Tests/Fuzz/Corpus/TARGET. An input that crashes, leaks, takes too long or violates a property is kept as
# Tests/Fuzz/Regressions/TARGET/HASH, where the ordinary tests replay it from then on. Ends with 1 if there was one.
set -u
cd "$(dirname "$0")/../.."
seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for entry in Tests/Fuzz/Fuzz*/; do targets+=("$(basename "$entry")"); done
fi
# An own build folder: everything in it is built for libFuzzer and with the address sanitizer.
scratch=.build/fuzz
export SKYWAVE_FUZZ=1
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=detect_leaks=${FUZZ_LEAKS:-1}
failed=0
for target in "${targets[@]}"; do
    echo "== $target: building"
    log=$scratch.$target.log
    mkdir -p "$(dirname "$log")"
    if ! swift build -c release --scratch-path "$scratch" --product "$target" --sanitize=address \
        -Xswiftc -sanitize=fuzzer -Xswiftc -use-ld=lld -Xcc -fsanitize=fuzzer-no-link > "$log" 2>&1; then
        grep -v warning "$log" | tail -30
        exit 1
    fi
    corpus=$scratch/corpus/$target
    found=$scratch/found/$target
    rm -rf "$found"
    mkdir -p "$corpus" "$found"
    dictionary=()
    [ -f Tests/Fuzz/xmpp.dict ] && dictionary=(-dict=Tests/Fuzz/xmpp.dict)
    seeds=()
    [ -d "Tests/Fuzz/Corpus/$target" ] && seeds+=("Tests/Fuzz/Corpus/$target")
    [ -d "Tests/Fuzz/Regressions/$target" ] && seeds+=("Tests/Fuzz/Regressions/$target")
    echo "== $target: fuzzing for $seconds s"
    "$scratch/release/$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$found/" "${dictionary[@]}" "$corpus" "${seeds[@]}" > "$log" 2>&1
    status=$?
    grep -E "stat::(number_of_executed_units|average_exec_per_sec|new_units_added)|^Done" "$log"
    if [ -n "$(ls -A "$found")" ] || [ $status -ne 0 ]; then
        failed=1
        echo "== $target: FAILED"
        grep -E "Fatal error|ERROR:|SUMMARY:" "$log" | head -5
        mkdir -p "Tests/Fuzz/Regressions/$target"
        for input in "$found"/*; do
            [ -f "$input" ] && cp "$input" "Tests/Fuzz/Regressions/$target/$(basename "$input")"
        done
    else
        echo "== $target: nothing found"
    fi
done
exit $failed
