#!/bin/bash
# lib.sh: builds libtokenizers.a, which hipc/runtime/text links, from the source that lies in the Go module.
#
# The result is .cache/tokenizers/<version>/libtokenizers.a. There it is found by every go command, by hand too:
# runtime/text/link.go names that folder. Two runs at once wait for each other; a killed run goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh
need go cc cargo

module=github.com/daulet/tokenizers
version=$(go list -m -f '{{.Version}}' $module)
folder=$PWD/.cache/tokenizers/$version
lib=$folder/libtokenizers.a
if ! grep -q "/.cache/tokenizers/$version\$" runtime/text/link.go; then
	echo "lib.sh: go.mod asks for $module $version, runtime/text/link.go names another: change its path to .cache/tokenizers/$version" >&2
	exit 1
fi
mkdir -p "$folder"
if command -v flock >/dev/null; then
	exec 9>"$folder/lock"
	flock 9
fi
if [ -s "$lib" ]; then
	echo "lib: $lib is there"
	exit 0
fi

go mod download $module
source=$(go list -m -f '{{.Dir}}' $module)
build=$folder/build
if [ ! -d "$build" ]; then # the module cache is read-only: cargo needs a copy
	rm -rf "$build.new"
	cp -R "$source" "$build.new"
	chmod -R u+w "$build.new"
	mv "$build.new" "$build"
fi
start=$SECONDS
echo "lib: building libtokenizers.a $version with cargo (once; some minutes on two cores)"
(cd "$build" && cargo build --release --locked --lib --target-dir "$build/target")
mv "$build/target/release/libtokenizers.a" "$lib"
rm -rf "$build"
echo "lib: built $lib ($(du -h "$lib" | cut -f1), $((SECONDS - start)) s)"
