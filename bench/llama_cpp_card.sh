#!/bin/bash
# llama_cpp_card.sh: measures llama.cpp on an NVIDIA card, as the peer of bench/card.sh: models of the true shapes with random weights
# (random_gguf.py), tg128 and pp512 by its own llama-bench. In two steps, since the machine with the card may have no network:
#
#   bench/llama_cpp_card.sh pack [DIR]   here: llama.cpp's source from llama-cpp-python's sdist, by pip, into DIR (bin/peer)
#   bench/llama_cpp_card.sh run [DIR]    there, with nvcc, cmake, ninja and numpy: builds for its card alone (some minutes), makes the
#                                        models, and prints llama-bench's lines as JSON
#
# DIR/built is what run has built; with it, run doesn't build again.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(realpath -m "${2:-bin/peer}") version=0.3.36

pack() {
	mkdir -p "$dir"
	local work
	work=$(mktemp -d)
	trap "rm -rf $work" EXIT
	python3 -m pip download --quiet --no-deps --no-binary=:all: -d "$work" "llama-cpp-python==$version"
	tar xzf "$work"/llama_cpp_python-*.tar.gz -C "$work" --strip-components=1 --exclude='*/.git/*'
	tar cJf "$dir/llama.cpp.tar.xz" -C "$work/vendor" --exclude=llama.cpp/{docs,media,models,tests,gguf-py,examples,benches} \
		--exclude='ggml/src/ggml-*/**.comp' --exclude='ggml/src/ggml-'{sycl,vulkan,opencl,cann,metal,hexagon,webgpu,openvino,virtgpu} llama.cpp
	cp bench/random_gguf.py "$dir/"
	du -sh "$dir"
}

run() {
	if [ ! -x "$dir/built" ]; then
		tar xJf "$dir/llama.cpp.tar.xz" -C "$dir"
		(cd "$dir" && cmake -S llama.cpp -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native \
			-DGGML_CUDA_NCCL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
			-DLLAMA_OPENSSL=OFF -DLLAMA_CURL=OFF -DGGML_CCACHE=OFF -DLLAMA_BUILD_NUMBER=0 >cmake.log 2>&1 || { tail -20 cmake.log; exit 1; }
			ninja -C build llama-bench >ninja.log 2>&1 || { grep -E 'FAILED|error' ninja.log | head; tail -5 ninja.log; exit 1; })
		cp "$dir/build/bin/llama-bench" "$dir/built"
		strip "$dir/built"
	fi
	for model in ${MODELS:-smollm2 qwen3.6-35b-a3b}; do
		gguf=${TMPDIR:-/tmp}/$model.gguf
		[ -e "$gguf" ] || python3 "$dir/random_gguf.py" $model "$gguf"
		"$dir/built" -m "$gguf" -ngl 99 -fa 1 -p 512 -n 128 -r 5 -o jsonl 2>"$dir/bench.log" || tail -5 "$dir/bench.log"
	done
}

case ${1:-} in
pack) pack ;;
run) run ;;
*) sed -n '2,11s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
