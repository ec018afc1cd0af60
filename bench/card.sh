#!/bin/bash
# card.sh: holds hipc against its oracles on an NVIDIA card, and measures. In two steps, since the machine with the card may have no
# compiler:
#
#   bench/card.sh pack [DIR]   here: compiles tests, programs and artifacts into DIR (bin/card); sm_90 or TARGET. About 30 MB, no weights.
#   bench/card.sh run [DIR]    there, in the repository's root: every kernel against Eval, families against transformers' logits, graph
#                              against launch by launch; with DIR/weights-x16.bin SmolLM2's goldens; speed. About a minute.
#
# The weights of SmolLM2 are DIR/weights-x16.bin after pack; without it speed is measured with random ones, and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(realpath -m "${2:-bin/card}") target=${TARGET:-sm_90}
gguf=.cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
smollm2=models/smollm2-135m-instruct.yaml

pack() {
	rm -rf "$dir" && mkdir -p "$dir"
	go build -trimpath -o bin/ ./cmd/hipc
	go build -trimpath -ldflags="-s -w -X main.commit=$(git describe --always --dirty --abbrev=40)" -o "$dir/hiprun" ./cmd/hiprun
	go test -c -ldflags='-s -w' -o "$dir/tests.test" ./tests
	(cd tests && HIPC_OBJECTS=$dir/objects "$dir/tests.test" -test.run "TestGPUKernels/$target") || true
	find "$dir/objects" -type f ! -name 'kernels.ptx' ! -name 'kernels.hsaco' -delete
	for fuse in true false; do
		bin/hipc compile $smollm2 --weights $gguf --target "$target" -fuse=$([ $fuse = true ] && echo on || echo off) -o "$dir/artifacts/fuse=$fuse" | tail -1
	done
	rm "$dir/artifacts/fuse=false/weights-x16.bin"
	mv "$dir/artifacts/fuse=true/weights-x16.bin" "$dir/" # both plans have the same
	for family in llama mistral qwen3 gemma3 gemma3-v4 phi3 olmo2; do
		bin/hipc compile models/${family%-v4}.yaml --weights tests/testdata/families/$family --target "$target" -o "$dir/artifacts/families/$family" | tail -2 | head -1
	done
	gzip -f "$dir/hiprun" "$dir/tests.test"
	du -sh "$dir"
}

run() {
	mkdir -p "$dir/run"
	for f in hiprun tests.test; do gunzip -c "$dir/$f.gz" >"$dir/run/$f" && chmod +x "$dir/run/$f"; done
	nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || true
	export HIPC_OBJECTS=$dir/objects HIPC_ARTIFACTS=$dir/artifacts
	tests="TestGPUKernels/$target|TestFamiliesOnCard" weights=(--weights random:1)
	if [ -e "$dir/weights-x16.bin" ]; then
		for fuse in true false; do ln -f "$dir/weights-x16.bin" "$dir/artifacts/fuse=$fuse/"; done
		tests+='|TestSmolLM2(Greedy|Logits|Prose|Chunks|OnCard)' weights=()
	fi
	(cd tests && "$dir/run/tests.test" -test.short -test.v -test.run "$tests") | grep -v '^=== ' || true
	if command -v compute-sanitizer >/dev/null; then
		for tool in memcheck racecheck; do
			(cd tests && compute-sanitizer --tool $tool "$dir/run/tests.test" -test.run 'TestFamiliesOnCard/(llama|qwen3)$') | tail -2
		done
	fi
	"$dir/run/hiprun" bench "$dir/artifacts/fuse=true" "${weights[@]}" --json
	"$dir/run/hiprun" profile "$dir/artifacts/fuse=true" "${weights[@]}"
}

case ${1:-} in
pack) pack ;;
run) run ;;
*) sed -n '2,10s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
