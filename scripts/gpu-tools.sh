#!/bin/bash
# gpu-tools.sh: fetches the programs that compile for GPUs and show what came of it, as far as the machine lacks them.
#
# Nothing is installed, and nobody need be root: apt and pip only download, the packages are unpacked into .cache/gpu-tools, and
# its bin has a program by each name that is looked for. The Makefile puts that folder at the end of PATH, a shell is told how. What can't be had is named; tests
# that want it are skipped then, and say so.
#
#   clang-22 lld-22 llvm-22   compile and inspect code for AMD and NVIDIA: no vendor's toolkit, headers or libraries are needed
#   hipcc                     AMD's driver of clang 15, the other compiler for gfx1100
#   nvidia-cuda-nvcc          ptxas, which tells registers and spills of code for NVIDIA
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh
folder=$PWD/.cache/gpu-tools
export PATH=$PATH:$folder/bin
lacking=0

absent() { for tool in "$@"; do command -v "$tool" >/dev/null || return 0; done; return 1; }
lacks() { echo "gpu-tools: $*" >&2; lacking=1; }

# apt's own lists are used where they know the package; else lists of our own are fetched, which needs no root.
apt() {
	apt-get -o Dir::Cache="$folder/apt" -o Dir::State::lists="$lists" -o Dir::Log="$folder/apt" -o APT::Sandbox::User= -o Debug::NoLocking=1 "$@"
}

# debs PACKAGE...: unpacks the packages, and what they need that isn't installed. C libraries are the machine's.
debs() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	mkdir -p "$folder/apt/archives/partial" "$folder/lists/partial"
	lists=/var/lib/apt/lists
	if ! apt install -s --no-install-recommends "$@" >/dev/null 2>&1; then
		lists=$folder/lists
		apt update -qq >/dev/null 2>&1 || true
	fi
	local wanted
	wanted=$(apt install -s --no-install-recommends "$@" 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -v -E '^(libc6|libc-|libgcc-s1$|gcc-[0-9]*-base$)') || return 1
	echo "gpu-tools: downloading $(echo $wanted | wc -w) packages for $*"
	rm -rf "$folder/debs" && mkdir -p "$folder/debs"
	(cd "$folder/debs" && apt download -qq $wanted >/dev/null 2>&1) || return 1
	for deb in "$folder"/debs/*.deb; do dpkg-deb -x "$deb" "$folder/root" || return 1; done
	rm -rf "$folder/debs" "$folder/apt"
}

# program NAME LINE...: a script that runs what was unpacked, with the libraries beside it.
program() {
	local name=$1
	shift
	mkdir -p "$folder/bin"
	{
		echo '#!/bin/sh'
		echo 'root=$(dirname "$(dirname "$(readlink -f "$0")")")/root'
		echo 'export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}'
		printf '%s\n' "$@"
	} >"$folder/bin/.$name.new"
	chmod +x "$folder/bin/.$name.new"
	mv "$folder/bin/.$name.new" "$folder/bin/$name"
}

mkdir -p "$folder"
if command -v flock >/dev/null; then
	exec 9>"$folder/lock"
	flock 9
fi

llvm="clang++-22 ld.lld-22 llvm-objdump-22 llvm-readelf-22"
if absent $llvm; then
	if debs clang-22 lld-22 llvm-22; then
		for tool in $llvm; do program "$tool" "exec \"\$root/usr/bin/$tool\" \"\$@\""; done
	else
		lacks "clang-22, lld-22 and llvm-22 can't be fetched: is there a network, and has apt these packages? Code for GPUs can't be compiled"
	fi
fi

if absent hipcc; then
	if debs hipcc; then
		program hipcc 'export PERL5LIB=$root/usr/share/perl5:$root/usr/bin HIP_PATH=$root/usr' \
			'HIP_CLANG_PATH=$root/usr/bin; [ -x "$HIP_CLANG_PATH/clang-15" ] || HIP_CLANG_PATH=/usr/bin; export HIP_CLANG_PATH' \
			'exec perl "$root/usr/bin/hipcc.pl" "$@"'
	else
		lacks "hipcc can't be fetched: is there a network, and has apt this package? Code for AMD GPUs is compiled with clang alone"
	fi
fi

wheel=nvidia-cuda-nvcc==13.5.37
digest=f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7
if absent ptxas; then
	work=$(mktemp -d "$folder/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	echo "gpu-tools: downloading $wheel with pip (47 MB)"
	if (need python3 pip) && python3 -m pip download --disable-pip-version-check --quiet --no-deps --only-binary :all: --dest "$work" "$wheel" 2>/dev/null &&
		echo "$digest  $(echo "$work"/*.whl)" | sha256sum --check --quiet && python3 -m zipfile -e "$work"/*.whl "$work"; then
		chmod +x "$work/nvidia/cu13/bin/ptxas"
		mkdir -p "$folder/bin"
		mv "$work/nvidia/cu13/bin/ptxas" "$folder/bin/ptxas"
	else
		lacks "ptxas can't be fetched: is there a network, and a package index (pip config list)? Registers and spills of code for NVIDIA aren't known"
	fi
fi

for tool in $llvm hipcc ptxas; do
	path=$(command -v "$tool") && echo "gpu-tools: $path"
done
if [ -d "$folder/bin" ]; then echo "gpu-tools: make finds them; so that bin/hipc does: export PATH=\$PATH:$folder/bin"; fi
exit $lacking
