#!/bin/bash
# test.sh: go vet and every test. Arguments go to go test: `scripts/test.sh -short`.
#
# A package's line comes when it is done, and what failed in full at the end. A test that can't run skips and says why;
# what was skipped is listed, so that a green run doesn't hide it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh
need go cc
start=$SECONDS
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "test: go vet ./..."
go vet ./...
echo "test: go test $* ./..."
status=0
go test -v -timeout 60m "$@" ./... 2>&1 | tee "$log" | { grep --line-buffered -E '^(ok|FAIL|panic:|[[:space:]]*--- FAIL)' || true; } || status=$?
if [ $status != 0 ]; then # of -v's flood, what isn't about tests that passed
	echo "test: what failed:"
	grep -v -E '^(ok|\?|=== (RUN|PAUSE|CONT|NAME)|[[:space:]]*--- (PASS|SKIP)|PASS$)' "$log" || true
fi
skipped=$(grep -c -E '^--- SKIP' "$log" || true)
if [ "$skipped" != 0 ]; then
	echo "test: $skipped tests were skipped:"
	awk '/^--- SKIP/ { print "  " $0; reason = 1; next } reason && /^    / { print "  " $0 } { reason = 0 }' "$log"
fi
echo "test: the slowest: $(sed -n 's/^--- [A-Z]*: \(Test[^ ]*\) (\([0-9]*\)\..*/\2 s \1/p' "$log" | sort -rn | head -12 | paste -sd, | sed 's/,/, /g')"
passed=$(grep -c -E '^[[:space:]]*--- PASS' "$log" || true)
failed=$(grep -c -E '^[[:space:]]*--- FAIL' "$log" || true)
echo "test: $passed passed, $failed failed, $skipped skipped, in $((SECONDS - start)) s"
exit $status
