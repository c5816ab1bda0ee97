#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches chartseal, makes sure that it is what the release lists, and judges.
# What it is given comes in variables: action.yml names them.
set -euo pipefail

fail() { echo "::error::$*"; echo "outcome=unusable" >> "$GITHUB_OUTPUT"; exit 2; }

case $(uname -s)-$(uname -m) in
Linux-x86_64) name=chartseal_linux_amd64 ;;
Linux-aarch64) name=chartseal_linux_arm64 ;;
Darwin-arm64) name=chartseal_darwin_arm64 ;;
Darwin-x86_64) name=chartseal_darwin_amd64 ;;
*) fail "there is no chartseal for $(uname -s) on $(uname -m)" ;;
esac
sum() { if command -v sha256sum > /dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

dir=$(mktemp -d)
for file in checksums.txt "$name"; do
	curl -fsSL --retry 3 -o "$dir/$file" "$BASE_URL/v$VERSION/$file" || fail "fetching $file of release $VERSION"
done
if [ -n "$CHECKSUM" ] && [ "$(sum < "$dir/checksums.txt" | cut -d' ' -f1)" != "$CHECKSUM" ]; then
	fail "checksums.txt of release $VERSION is not the one that checksum names"
fi
want=$(awk -v name="$name" '$2 == name {print $1}' "$dir/checksums.txt")
[ -n "$want" ] && [ "$(sum < "$dir/$name" | cut -d' ' -f1)" = "$want" ] || fail "$name is not what checksums.txt lists"
chmod +x "$dir/$name"

args=(review -o github)
[ -z "$SARIF" ] || args+=(-o "sarif=$SARIF")
for file in $PARAMS; do args+=(--params "$file"); done
for folder in $POLICIES; do args+=(-d "$folder"); done
[ -n "$CHARTSEAL_CONFIG" ] || unset CHARTSEAL_CONFIG

code=0
# shellcheck disable=SC2086 # paths are separated by spaces, and no file is an option
"$dir/$name" "${args[@]}" -- $PATHS || code=$?
case $code in
0) outcome=passed ;;
1) outcome=denied ;;
3) outcome=undecided ;;
*) outcome=unusable ;;
esac
echo "outcome=$outcome" >> "$GITHUB_OUTPUT"
exit "$code"
