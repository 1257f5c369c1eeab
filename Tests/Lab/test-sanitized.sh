#!/bin/sh
# `make test-sanitized`: the unit tests under the address sanitizer and then under the thread sanitizer, each in a build
# folder of its own. Tests that measure time or memory see SKYWAVE_SANITIZED and do not judge.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0
for sanitizer in address thread; do
    echo "== $sanitizer sanitizer"
    SKYWAVE_SANITIZED=$sanitizer TSAN_OPTIONS="halt_on_error=0 exitcode=66" ASAN_OPTIONS="detect_leaks=0" \
        swift test --scratch-path ".build/$sanitizer" --sanitize "$sanitizer" --disable-xctest \
        --skip '^IntegrationTests\.' >".build/$sanitizer.log" 2>&1 || failed=1
    grep -E '^✘|WARNING: ThreadSanitizer|ERROR: AddressSanitizer|SUMMARY|error:' ".build/$sanitizer.log" | head -n 40
    grep -E 'Test run with' ".build/$sanitizer.log" || {
        tail -n 20 ".build/$sanitizer.log"
        failed=1
    }
done
exit "$failed"
