#!/bin/bash
# `make bench`: every measurement, one plain line each: `bench NAME VALUE UNIT [target OP VALUE]`.
# Exits 0 whatever the figures; what could not be measured at all is said in words.
set -u
cd "$(dirname "$0")/../.."
for product in skywave skywave-bench skywave-load; do
    log=.build/bench.$product.log
    mkdir -p .build
    if ! swift build -c release --product "$product" > "$log" 2>&1; then
        grep -E "error" "$log" | head -5
        echo "not measured: $product does not build"
    fi
done
binaries=$(swift build -c release --show-bin-path)
"$binaries/skywave-bench" || echo "not measured: skywave-bench ended with $?"
python3 Tests/Lab/bench_beside.py --binaries "$binaries" || echo "not measured: see above"
exit 0
