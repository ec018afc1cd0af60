#!/bin/bash
# card.sh: holds hipc against its oracles on an NVIDIA card, and measures. In two steps, since the machine with the card may have no
# compiler:
#
#   bench/card.sh pack [DIR]          here: compiles tests, programs and artifacts into DIR (bin/card); sm_90 or TARGET. Beside it, DIR.tar.xz
#                                     has all of it but the weights of SmolLM2, DIR/weights-x16.bin.
#   bench/card.sh run [DIR] [PART..]  there, in the repository's root, all parts or some: `check` holds every kernel against Eval, families and Qwen3.6
#                                     against transformers' logits, graph against launch by launch, and with DIR/weights-x16.bin SmolLM2's goldens;
#                                     `speed` times SmolLM2 and Qwen3.6-35B-A3B, whose weights are made there, and holds each launch against its
#                                     prediction; `rank` times other plans of it; `sanitize` asks compute-sanitizer. Some ten minutes in all.
#                                     Records of the figures are left in DIR/results.
#
# Without DIR/weights-x16.bin SmolLM2's speed is measured with random weights, and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(realpath -m "${2:-bin/card}") target=${TARGET:-sm_90}
gguf=.cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
smollm2=models/smollm2-135m-instruct.yaml qwen=models/qwen3.6-35b-a3b.yaml
# Other plans of it: no fusion; norms in the last block of what makes their row; each gate a launch of its own; the delta rule, its norm and its rotation
# apart; the experts' choice behind the router, their rotation behind their gates.
others=(off -norm_rotate,-norm_router,-norm_matmul,-matmul_add,-moe_down -swiglu,-swiglu2,-swiglu_each,-swiglu_each_rotate,-swiglu_rotate -gdn,-gdn_norm,-gdn_norm_rotate
	-router,-norm_router -swiglu_each_rotate,-swiglu_rotate)

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
	bin/hipc compile $qwen --target "$target" -o "$dir/artifacts/qwen3.6-35b-a3b" | tail -2 | head -1
	for rules in "${others[@]}"; do
		bin/hipc compile $qwen --target "$target" -fuse=$rules -o "$dir/artifacts/others/$rules" | tail -2 | head -1
	done
	# Once more by a hipc without the target's table of times: its predictions are the cost model's alone.
	table=$(mktemp -d)
	touch "$table/empty.tsv" && echo "{\"Replace\": {\"$PWD/kernels/$target.tsv\": \"$table/empty.tsv\"}}" >"$table/overlay.json"
	go build -trimpath -overlay "$table/overlay.json" -o "$table/hipc" ./cmd/hipc
	"$table/hipc" compile $qwen --target "$target" -o "$dir/artifacts/qwen3.6-35b-a3b-row" | tail -2 | head -1
	rm -r "$table"
	XZ_OPT='-3 -T0' tar cJf "$dir.tar.xz" -C "$dir" --exclude=./weights-x16.bin .
	du -sh "$dir.tar.xz"
}

check() {
	tests="TestGPUKernels/$target$"
	[ ! -e "$dir/weights-x16.bin" ] || tests+='|TestSmolLM2(Greedy|Logits|Prose|Chunks|OnCard)'
	(cd tests && timeout 300 "$dir/tests.test" -test.short -test.v -test.run "$tests") | grep -v '^=== ' | cut -c1-400 || true
	(cd tests && timeout 300 "$dir/tests.test" -test.v -test.run 'TestFamiliesOnCard|TestQwen36OnGPU|TestFullSizeOnCard') | grep -v '^=== ' | cut -c1-400 || true
}

# measure holds each launch against what the cost model says, and leaves the times as a table for kernels/.
measure() {
	timeout 200 "$dir/hiprun" profile "$dir/artifacts/qwen3.6-35b-a3b-row" --weights random:1 --compare --within 25 --update "$dir/results/$target.tsv" --json >"$dir/results/qwen3.6-35b-a3b-row-profile.json" || true
}

speed() {
	for what in bench profile; do
		weights=(--weights random:1)
		[ ! -e "$dir/weights-x16.bin" ] || weights=()
		timeout 200 "$dir/hiprun" $what "$dir/artifacts/fuse=true" "${weights[@]}" --json >"$dir/results/smollm2-$what.json" || true
	done
	measure
	timeout 200 "$dir/hiprun" bench "$dir/artifacts/qwen3.6-35b-a3b" --weights random:1 --json >"$dir/results/qwen3.6-35b-a3b-bench.json" || true
	timeout 200 "$dir/hiprun" profile "$dir/artifacts/qwen3.6-35b-a3b" --weights random:1 --compare --within 10 --json >"$dir/results/qwen3.6-35b-a3b-profile.json" || true
	for f in "$dir"/results/*-{bench,profile}.json; do cut -c1-150 "$f" | head -c 2000; done
}

rank() {
	for rules in "${others[@]}"; do
		timeout 200 "$dir/hiprun" bench "$dir/artifacts/others/$rules" --weights random:1 -p 0 -n 128 --json >"$dir/results/qwen3.6-35b-a3b$rules-bench.json" || true
		echo "-fuse=$rules: $(grep -A 4 '"tg128"' "$dir/results/qwen3.6-35b-a3b$rules-bench.json" | tr -d '\n')"
	done
}

sanitize() {
	for tool in memcheck racecheck; do
		(cd tests && timeout 300 compute-sanitizer --tool $tool "$dir/tests.test" -test.short -test.v -test.run 'TestFamiliesOnCard/llama$|TestQwen36OnGPU/.*_paro/fuse=on') | tail -5 | cut -c1-300
	done
}

run() {
	mkdir -p "$dir/results"
	[ -e "$dir/hiprun" ] || tar xJf "$dir.tar.xz" -C "$dir"
	nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || true
	export HIPC_OBJECTS=$dir/objects HIPC_ARTIFACTS=$dir/artifacts
	if [ -e "$dir/weights-x16.bin" ]; then
		for fuse in true false; do ln -f "$dir/weights-x16.bin" "$dir/artifacts/fuse=$fuse/"; done
	fi
	for part in "$@"; do $part; done
}

case ${1:-} in
pack) pack ;;
run)
	shift $(($# > 1 ? 2 : 1))
	[ $# -gt 0 ] || set -- check speed rank sanitize
	run "$@"
	;;
*) sed -n '2,16s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
