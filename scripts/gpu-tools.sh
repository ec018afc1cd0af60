#!/bin/bash
# gpu-tools.sh: clang, lld and LLVM's tools of one version, with the back ends for AMD and NVIDIA. Nothing else is needed to compile for
# GPUs: no vendor's toolkit, headers or libraries.
set -euo pipefail
for tool in clang++-22 ld.lld-22 llvm-objdump-22 llvm-readelf-22; do
	command -v "$tool" >/dev/null && continue
	echo "gpu-tools: $tool is missing: apt-get install clang-22 lld-22 llvm-22"
	apt-get install -y clang-22 lld-22 llvm-22
	exit
done
echo "gpu-tools: all there: $(clang++-22 --version | head -1)"
