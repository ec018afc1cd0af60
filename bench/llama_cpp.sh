#!/bin/bash
# llama_cpp.sh: hipc beside llama.cpp on this CPU: SmolLM2-135M-Instruct, the same Q4_1 GGUF, the same threads, runs in turn.
#
#   bench/llama_cpp.sh [ROUNDS]            default 5; prints a table, writes bench/results/DATE-smollm2-cpu.json
#   LLAMA_BENCH=path bench/llama_cpp.sh    uses that llama-bench; otherwise one is built, once, in .cache/llama.cpp
#   THREADS="1 2"  PATIENCE=600            thread counts; seconds to spend, all in all, on waiting for a quiet machine
#
# It builds its own hipc and hiprun in .cache/bench, so that the record's commit is that of the programs that ran. What
# is measured, and what counts as a run, is in compare.py.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh
rounds=${1:-5}
package=llama-cpp-python==0.3.36 # its source distribution holds llama.cpp's
peer=$PWD/.cache/llama.cpp
bench=$PWD/.cache/bench
gguf=$PWD/.cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

build_llama() {
	need python3 pip cmake c++
	mkdir -p "$peer"
	if [ ! -d "$peer/source" ]; then
		local work
		work=$(mktemp -d "$peer/fetch.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		echo "llama.cpp: downloading the source of $package with pip (77 MB)"
		python3 -m pip download --disable-pip-version-check --quiet --no-deps --no-binary :all: --dest "$work" "$package"
		tar -xzf "$work"/llama_cpp_python-*.tar.gz -C "$work" --exclude '.git'
		mv "$work"/llama_cpp_python-*/vendor/llama.cpp "$peer/source"
		rm -rf "$work"
		trap - EXIT
	fi
	echo "llama.cpp: building llama-bench (once; some minutes on two cores)"
	# What its users get from a plain build on their own machine: optimised, for this very processor, with OpenMP.
	cmake -S "$peer/source" -B "$peer/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DGGML_CCACHE=OFF \
		-DLLAMA_BUILD_NUMBER=0 -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF \
		-DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF >"$peer/build.log"
	cmake --build "$peer/build" --target llama-bench --parallel "$(nproc)" >>"$peer/build.log" || {
		tail -20 "$peer/build.log" >&2
		echo "llama_cpp.sh: llama.cpp doesn't build here, see $peer/build.log; LLAMA_BENCH=path takes one that you have" >&2
		exit 1
	}
}

llama=${LLAMA_BENCH:-$peer/build/bin/llama-bench}
[ -n "${LLAMA_BENCH:-}" ] || [ -x "$llama" ] || build_llama
[ -x "$llama" ] || { echo "llama_cpp.sh: $llama isn't there, or no program" >&2; exit 1; }
[ -z "${LLAMA_BENCH:-}" ] || package="as LLAMA_BENCH gives it"

make --no-print-directory lib model
commit=$(git rev-parse --short=12 HEAD)
# Only what goes into the programs makes them differ from the commit.
git diff --quiet HEAD -- cmd codegen compiler fusion ir kernels models runtime go.mod go.sum ':!*_test.go' || commit=$commit-dirty
go build -trimpath -ldflags "-X main.commit=$commit" -o "$bench/" ./cmd/hipc ./cmd/hiprun
"$bench/hipc" compile models/smollm2-135m-instruct.yaml --weights "$gguf" -o "$bench/smollm2" | tail -1

exec python3 bench/compare.py --hipc "$bench/hipc" --hiprun "$bench/hiprun" --artifact "$bench/smollm2" --gguf "$gguf" --llama "$llama" \
	--llama-version "${LLAMA_VERSION:-$package}" --commit "$commit" --rounds "$rounds" --threads "${THREADS:-1 2}" --patience "${PATIENCE:-600}" \
	--out "bench/results/$(date -u +%Y-%m-%d)-smollm2-cpu.json"
