#!/bin/sh
# `make test`: set-up, build, unit tests, integration tests; the last line is `N passed, N failed`.
cd "$(dirname "$0")/../.." || exit 1
started=$(date +%s)
if ! Tests/Lab/setup.sh; then
    echo "the set-up failed; nothing was tested"
    echo "0 passed, 1 failed"
    exit 1
fi
exec .lab/venv/bin/python Tests/Lab/run_tests.py --setup-seconds $(($(date +%s) - started))
