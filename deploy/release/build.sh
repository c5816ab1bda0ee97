#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build.sh DIR VERSION: static binaries for every platform, with completions,
# man pages and checksums. PLATFORMS and COMMANDS name fewer.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$1 version=$2
mkdir -p "$dir"
flags="-s -w"

for platform in ${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64}; do
	os=${platform%/*} arch=${platform#*/}
	for command in ${COMMANDS:-chartseal chartseal-gator chartseal-provider}; do
		binary=$dir/${command}_${os}_${arch}
		[ "$os" != windows ] || binary=$binary.exe
		CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "$flags -X main.version=$version" -o "$binary" "./cmd/$command"
	done
done

# What the shell and man know is what this machine's binary says of itself.
host=$dir/chartseal_$(go env GOOS)_$(go env GOARCH)
if [ -x "$host" ]; then
	mkdir -p "$dir/completions" "$dir/man"
	"$host" completion bash > "$dir/completions/chartseal.bash"
	"$host" completion zsh > "$dir/completions/_chartseal"
	"$host" completion fish > "$dir/completions/chartseal.fish"
	"$host" man "$dir/man"
	tar -C "$dir" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -czf "$dir/chartseal_extras.tar.gz" completions man
	rm -r "$dir/completions" "$dir/man"
fi

(cd "$dir" && sha256sum -- chartseal* > checksums.txt)
