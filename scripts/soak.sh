#!/bin/bash
# soak.sh: kills a thousand compilations, builds one artifact a hundred times, lets every HIP call fail in turn, and runs every fuzz
# target of the module for SOAK each (10m), one after the other. An input that fails is left in the package's testdata/fuzz, where `go test` runs it from then on.
set -euo pipefail
cd "$(dirname "$0")/.."
soak=${SOAK:-10m}
failed=0
found=0
echo "soak: 1000 kills, 100 builds, every HIP call fails"
HIPC_SOAK=1 go test ./tests -run '^(TestKilled|TestSameBytes|TestHIPFailures)$' -v -timeout 3h | grep -v '^===' || failed=1
for package in $(go list ./...); do
	targets=$(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
	for target in $targets; do
		found=$((found + 1))
		echo "soak: $package $target, for $soak"
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzzminimizetime 100x -fuzztime "$soak" || failed=$((failed + 1))
	done
done
echo "soak: $found targets, $failed failed"
[ $failed = 0 ] && [ $found -gt 0 ]
