#!/bin/sh
# plan-diff.sh BASE [FOLDER]: what the changes since BASE do to the launch plans of the model texts in FOLDER (models), as Markdown: a
# comment for a pull request. BASE is a revision that git knows. hipc is wanted on PATH; no GPU, no compiler, no checkpoint.
#
# Where plans are committed (FOLDER/plans/MODEL/TARGET, as hipc compile writes them), these are compared: so a new hipc shows, too.
# Model texts without a committed plan are planned as they were and as they are.
#
# Ends with 0 where no plan differs (and prints nothing), 2 where one does, 3 where one is over hipc.budget.yaml, 1 where something failed.
set -u
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 1; }
base=$(git merge-base "$1" HEAD) || exit 1
folder=${2:-models}
worst=0
# changed PATHS...: what was there at BASE and isn't as it was.
changed() { git diff --name-only --diff-filter=MT "$base" -- "$@"; }
plans=$(changed "$folder/plans" | sed 's,/[^/]*/[^/]*$,,' | sort -u)
for model in $plans $(changed "$folder/*.yaml"); do
	name=$(basename "$model" .yaml)
	case $model in *.yaml) [ -e "$folder/plans/$name" ] && continue ;; esac
	text=$(hipc diff "$base:$model" "$model" --markdown --detailed-exitcode 2>&1)
	code=$?
	[ $code = 0 ] && continue
	[ $code = 1 ] && text="**$name can't be compared**

\`\`\`
$text
\`\`\`"
	printf '%s\n\n' "$text"
	case $worst$code in 1? | ?1) worst=1 ;; 3? | ?3) worst=3 ;; *) worst=2 ;; esac
done
for model in $(git diff --name-only --diff-filter=A "$base" -- "$folder/*.yaml"); do
	printf '**%s is new**\n\n```\n%s\n```\n\n' "$(basename "$model" .yaml)" "$(hipc explain "$model" --target gfx1100 2>&1 | sed -n 1,4p)"
	[ $worst = 0 ] && worst=2
done
exit $worst
