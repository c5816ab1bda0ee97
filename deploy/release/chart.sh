#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# chart.sh DIR REGISTRY: packages our chart with provenance, pushes both to
# oci://REGISTRY, and signs what was pushed with cosign.
#   PGP_USER, PGP_KEYRING  who signs the provenance, and a file with the secret key
#   COSIGN_KEY             cosign's private key; COSIGN_PASSWORD as cosign has it
#   HELM_PUSH, COSIGN_SIGN further flags, for a registry without TLS say
#   HELM, COSIGN           the tools, where they are not on the PATH
set -euo pipefail
dir=$1 registry=$2
chart=$(cd "$(dirname "$0")/.." && pwd)/chart/chartseal
version=$(sed -n 's/^version: //p' "$chart/Chart.yaml")

"${HELM:-helm}" package "$chart" --sign --key "$PGP_USER" --keyring "$PGP_KEYRING" --destination "$dir"
# shellcheck disable=SC2086 # flags are separated by spaces
pushed=$("${HELM:-helm}" push ${HELM_PUSH:-} "$dir/chartseal-$version.tgz" "oci://$registry" 2>&1)
digest=$(sed -n 's/^Digest: //p' <<< "$pushed")
[ -n "$digest" ] || { echo "helm did not say what it pushed: $pushed" >&2; exit 1; }
# shellcheck disable=SC2086
"${COSIGN:-cosign}" sign --yes --key "$COSIGN_KEY" ${COSIGN_SIGN:-} "$registry/chartseal@$digest"
echo "oci://$registry/chartseal:$version@$digest"
