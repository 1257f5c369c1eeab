#!/bin/sh
# `make test-sanitized [SANITIZERS="address thread"]`: the unit tests under the address sanitizer and then under the thread
# sanitizer, each in a build folder of its own, some ten minutes each on two cores.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0
for sanitizer in ${*:-address thread}; do
    echo "== $sanitizer sanitizer"
    log=".build/$sanitizer.log"
    mkdir -p .build
    # Left out: tests that judge resident memory, which a sanitizer multiplies, or moments, which it delays.
    TSAN_OPTIONS="halt_on_error=0 exitcode=66" ASAN_OPTIONS="detect_leaks=0" \
        swift test --scratch-path ".build/$sanitizer" --sanitize "$sanitizer" --disable-xctest \
        --skip '^IntegrationTests\.' --skip DecompressionBombTests --skip halfOpenFlood --skip 'made-up names' \
        --skip 'strangers are thrown out in time' --skip 'memory does not grow' >"$log" 2>&1 || failed=1
    grep -E '^✘|WARNING: ThreadSanitizer|ERROR: AddressSanitizer|SUMMARY|error:' "$log" | head -n 40
    grep -E 'Test run with' "$log" || {
        tail -n 20 "$log"
        failed=1
    }
done
exit "$failed"
