#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUTDIR builds etcd, kube-apiserver, kubectl and Gatekeeper from the
# module in tools, and puts Gatekeeper's manifest beside them. It takes minutes;
# what was built from the same go.sum, by the same script, is kept.
set -eu

out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/tools"

built=$(cat go.mod go.sum ../build.sh | sha256sum | cut -d ' ' -f 1)
[ "$(cat "$out/built" 2>/dev/null)" != "$built" ] || exit 0
rm -f "$out/built"

# Without a version the server is of none that kubectl and charts accept.
release=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${release#v1.}
version=k8s.io/component-base/version

build() { # NAME PACKAGE
	CGO_ENABLED=0 go build -o "$out/$1" \
		-ldflags "-s -w -X $version.gitVersion=$release -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" "$2"
}

build etcd go.etcd.io/etcd/server/v3
build kubectl ./kubectl
build kube-apiserver ./kube-apiserver
build gatekeeper github.com/open-policy-agent/gatekeeper/v3
install -m 644 "$(go list -m -f '{{.Dir}}' github.com/open-policy-agent/gatekeeper/v3)/deploy/gatekeeper.yaml" "$out/gatekeeper.yaml"
echo "$built" >"$out/built"
