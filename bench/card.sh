#!/bin/bash
# card.sh: holds hipc against its oracles on an NVIDIA card, and measures. In two steps, since the machine with the card may have no
# compiler:
#
#   bench/card.sh pack [DIR]   here: compiles tests, programs and artifacts into DIR (bin/card); sm_90 or TARGET. Beside it, DIR.tar.xz has
#                              all of it but the weights of SmolLM2, DIR/weights-x16.bin.
#   bench/card.sh run [DIR]    there, in the repository's root: every kernel against Eval, families and Qwen3.6 against transformers' logits, graph
#                              against launch by launch; with DIR/weights-x16.bin SmolLM2's goldens; speed, of Qwen3.6-35B-A3B too, whose
#                              weights are made there. Some five minutes. Records of the figures are left in DIR/results.
#
# Without DIR/weights-x16.bin SmolLM2's speed is measured with random weights, and says so.
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
	for model in qwen35moe_b qwen35moe_b_paro; do
		for fuse in on off; do
			bin/hipc compile models/qwen3.6-35b-a3b.yaml --weights tests/testdata/$model --target "$target" -fuse=$fuse --context 2048 -o "$dir/artifacts/qwen36/$model-$fuse" | tail -2 | head -1
		done
	done
	bin/hipc compile models/qwen3.6-35b-a3b.yaml --target "$target" -o "$dir/artifacts/qwen3.6-35b-a3b" | tail -2 | head -1
	bin/hipc compile models/qwen3.6-35b-a3b.yaml --target "$target" -fuse=off -o "$dir/artifacts/qwen3.6-35b-a3b-off" | tail -2 | head -1
	XZ_OPT='-3 -T0' tar cJf "$dir.tar.xz" -C "$dir" --exclude=./weights-x16.bin .
	du -sh "$dir.tar.xz"
}

run() {
	mkdir -p "$dir/results"
	[ -e "$dir/hiprun" ] || tar xJf "$dir.tar.xz" -C "$dir"
	nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || true
	export HIPC_OBJECTS=$dir/objects HIPC_ARTIFACTS=$dir/artifacts
	tests="TestGPUKernels/$target$|TestFamiliesOnCard|TestQwen36OnGPU" smollm2=(--weights random:1) qwen=(--weights random:1)
	if [ -e "$dir/weights-x16.bin" ]; then
		for fuse in true false; do ln -f "$dir/weights-x16.bin" "$dir/artifacts/fuse=$fuse/"; done
		tests+='|TestSmolLM2(Greedy|Logits|Prose|Chunks|OnCard)' smollm2=()
	fi
	(cd tests && timeout 300 "$dir/tests.test" -test.short -test.v -test.run "$tests") | grep -v '^=== ' | cut -c1-400 || true
	for model in qwen3.6-35b-a3b fuse=true; do
		weights=("${qwen[@]}")
		[ $model = qwen3.6-35b-a3b ] || weights=("${smollm2[@]}")
		for what in bench profile; do
			timeout 200 "$dir/hiprun" $what "$dir/artifacts/$model" "${weights[@]}" --json >"$dir/results/$model-$what.json" || true
			cut -c1-150 "$dir/results/$model-$what.json" | head -c 6000
		done
	done
	(cd tests && timeout 200 "$dir/tests.test" -test.v -test.run TestFullSizeOnCard) | grep -v '^=== ' | cut -c1-400 || true
	timeout 100 "$dir/hiprun" bench "$dir/artifacts/qwen3.6-35b-a3b-off" "${qwen[@]}" -p 0 -n 64 --json >"$dir/results/qwen3.6-35b-a3b-off-bench.json" || true
	if command -v compute-sanitizer >/dev/null; then
		for tool in memcheck racecheck; do
			(cd tests && timeout 200 compute-sanitizer --tool $tool "$dir/tests.test" -test.run 'TestFamiliesOnCard/(llama|qwen3)$|TestQwen36OnGPU/.*_paro/fuse=on') | tail -2
		done
	fi
}

case ${1:-} in
pack) pack ;;
run) run ;;
*) sed -n '2,13s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
