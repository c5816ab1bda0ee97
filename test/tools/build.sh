#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUTDIR [TOOL...] builds the real tools that our tests and checks run:
# helm3 helm4 cosign2 cosign3 registry ratify gator staticcheck govulncheck, and the
# folder gatekeeper, Gatekeeper's own chart; all of them if none is named.
#
# Each has a module file of its own where it would otherwise pull the other's
# dependencies away from those it was released with, and none touches the root's.
set -eu

out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")"

build() { # NAME MODFILE PACKAGE [LDFLAGS]
	go build -trimpath -modfile="$2" -ldflags "-s -w ${4:-}" -o "$out/$1" "$3"
}

for tool in ${*:-helm3 helm4 gatekeeper gator staticcheck govulncheck cosign2 cosign3 registry ratify}; do
	case $tool in
	helm3) build helm3 go.mod helm.sh/helm/v3/cmd/helm "-X helm.sh/helm/v3/internal/version.version=v3.22.0" ;;
	helm4) build helm4 go.mod helm.sh/helm/v4/cmd/helm "-X helm.sh/helm/v4/internal/version.version=v4.3.1" ;;
	cosign2) build cosign2 cosign2.mod github.com/sigstore/cosign/v2/cmd/cosign ;;
	cosign3) build cosign3 cosign3.mod github.com/sigstore/cosign/v3/cmd/cosign ;;
	registry) build registry registry.mod github.com/distribution/distribution/v3/cmd/registry ;;
	ratify) build ratify ratify.mod github.com/ratify-project/ratify/cmd/ratify ;;
	gator) build gator gator.mod github.com/open-policy-agent/gatekeeper/v3/cmd/gator ;;
	staticcheck) build staticcheck lint.mod honnef.co/go/tools/cmd/staticcheck ;;
	govulncheck) build govulncheck lint.mod golang.org/x/vuln/cmd/govulncheck ;;
	gatekeeper)
		module=$(go mod download -json github.com/open-policy-agent/gatekeeper/v3@v3.23.1 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
		rm -rf "$out/gatekeeper" && cp -R "$module/charts/gatekeeper" "$out/gatekeeper" && chmod -R u+w "$out/gatekeeper"
		;;
	*) echo "build.sh: no tool is called $tool" >&2 && exit 2 ;;
	esac
done
