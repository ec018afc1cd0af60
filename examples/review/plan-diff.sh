#!/bin/sh
# plan-diff.sh BASE [FOLDER]: what the changes since BASE do to the launch plans of the model texts in FOLDER (models), as Markdown: a
# comment for a pull request. BASE is a revision that git knows. hipc is wanted on PATH; no GPU, no compiler, no checkpoint.
#
# Where plans are committed (FOLDER/plans/MODEL/TARGET, as hipc compile writes them), these are compared: so a new hipc shows, too.
# Where a text has changed and its plan hasn't, or none is committed, the text is planned as it was and as it is.
#
# Ends with 0 where no plan differs (and prints nothing), 2 where one does, is stale, new or gone, 3 where one is over hipc.budget.yaml, 1
# where something failed.
set -u
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 1; }
base=$(git merge-base "$1" HEAD) || exit 1
folder=${2:-models}
worst=0
# note CODE: of all codes the worst counts.
note() { case $worst$1 in *1*) worst=1 ;; *3*) worst=3 ;; *2*) worst=2 ;; esac; }
say() { printf '**%s**\n\n' "$1"; note 2; }
# had FILE: it was there at BASE.
had() { [ -n "$(git ls-tree "$base" -- "$1")" ]; }
# compare TITLE A B [FLAG...]: what hipc diff says of A and B, under a title if there is one; nothing where nothing differs.
compare() {
	title=$1 b=$3
	shift
	text=$(hipc diff "$@" --markdown --detailed-exitcode 2>&1)
	case $? in
	0) return ;;
	2) note 2 ;;
	3) note 3 ;;
	*) note 1; text=$(printf "**%s can't be compared**\n\n\`\`\`\n%s\n\`\`\`" "$(basename "$b" .yaml)" "$text") ;;
	esac
	[ -z "$title" ] || say "$title"
	printf '%s\n\n' "$text"
}
# plans OLD NEW: compares what is committed for a model that was called OLD. Leaves in $unchanged the targets whose plan is as it was, with commas.
plans() {
	from=$folder/plans/$1 to=$folder/plans/$2 unchanged=
	if had "$from" && [ -d "$to" ]; then
		compare '' "$base:$from" "$to"
		for target in "$to"/*; do
			target=$(basename "$target")
			if had "$from/$target/plan.go" && git show "$base:./$from/$target/plan.go" | cmp -s - "$to/$target/plan.go"; then
				unchanged=$unchanged${unchanged:+,}$target
			fi
		done
	elif had "$from"; then
		say "$2: its plans in $from are gone"
	elif [ -d "$to" ]; then
		say "$2: its plans in $to are new"
	fi
}
seen=" " tab=$(printf '\t')
while IFS=$tab read -r status was model; do
	model=${model:-$was}
	old=$(basename "$was" .yaml) name=$(basename "$model" .yaml)
	seen="$seen$old $name "
	case $status in
	'') continue ;;
	A*)
		say "$name is new"
		printf '```\n%s\n```\n\n' "$(hipc explain "$model" --target gfx1100 2>&1 | sed -n 1,4p)"
		continue ;;
	D*)
		[ -d "$folder/plans/$name" ] && say "$name is gone, its plans in $folder/plans/$name are not" || say "$name is gone"
		continue ;;
	R*) say "$old is called $name now" ;;
	esac
	plans "$old" "$name"
	if ! had "$folder/plans/$old" || ! [ -d "$folder/plans/$name" ]; then
		compare '' "$base:$was" "$model"
	elif [ -n "$unchanged" ]; then
		compare "$folder/plans/$name is stale: $model has changed, its plan for $unchanged hasn't. What the text does:" "$base:$was" "$model" --target "$unchanged"
	fi
done <<EOF
$(git diff --relative -M --name-status "$base" -- "$folder/*.yaml")
EOF
for name in $(git diff --relative --no-renames --name-only "$base" -- "$folder/plans" | sed "s,^$folder/plans/\([^/]*\)/.*,\1," | sort -u); do
	case $seen in *" $name "*) ;; *) plans "$name" "$name" ;; esac
done
exit $worst
