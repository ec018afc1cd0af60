#!/bin/bash
# plans.sh [MODEL...]: writes models/plans/MODEL/TARGET again, for every model of models/ or for those that are named, and every GPU target: the launch
# plan, its prediction, the kernels' source and what the compiler made of them. They're committed, so that a pull request shows what it does to them:
# hipc diff BASE:models/plans/MODEL models/plans/MODEL. A file a model and target: two changes seldom collide.
#
# bin/hipc and what compiles for GPUs are wanted (make build, make gpu-tools). A model takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
targets=gfx1100,gfx1151,sm_90
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[ $# -gt 0 ] || set -- $(basename -s .yaml models/*.yaml)
for model in "$@"; do
	echo "plans: $model"
	bin/hipc compile "models/$model.yaml" --target $targets -o "$tmp/$model" >"$tmp/said" || { cat "$tmp/said" >&2; exit 1; }
	for target in ${targets//,/ }; do
		from=$tmp/$model/$target to=models/plans/$model/$target
		[ -e "$from/kernels.txt" ] || { echo "plans: no compiler for $target: make gpu-tools" >&2; exit 1; }
		rm -rf "$to"
		mkdir -p "$to"
		cp "$from/plan.go" "$from/prediction.tsv" "$from/kernels.hip" "$from/kernels.txt" "$to"
	done
	rm -rf "${tmp:?}/$model"
done
