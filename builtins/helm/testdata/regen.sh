#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes verify_prov/*.txtar anew: gpg makes the keys, real helm packages and
# signs. Give it a folder with helm3 in it; want.json is then written by
# go test ./builtins/helm -run TestCases -update, and read by you.
set -euo pipefail
helm=$1/helm3
cd "$(dirname "$0")/verify_prov"
work=$(mktemp -d)
trap 'gpgconf --homedir "$work/gpg" --kill gpg-agent; rm -rf "$work"' EXIT
export GNUPGHOME=$work/gpg HOME=$work
mkdir -m 700 "$GNUPGHOME"
key() { gpg --batch --quiet --passphrase '' --faked-system-time 20260101T000000! --quick-gen-key "$1 <$2@example.com>" "$3" sign never; }
key 'Web Team' web ed25519
key 'Platform Team' platform rsa3072
gpg --batch --export-secret-keys >"$work/sec.gpg"
gpg --armor --export web@example.com >"$work/web.asc"
gpg --armor --export platform@example.com >"$work/platform.asc"
mkdir -p "$work/web/templates"
printf 'apiVersion: v2\nname: web\nversion: 1.2.3\ndescription: A web server\nappVersion: 1.16\n' >"$work/web/Chart.yaml"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n' >"$work/web/templates/configmap.yaml"
"$helm" package "$work/web" -d "$work" --sign --keyring "$work/sec.gpg" --key 'Web Team' >/dev/null

scene() { # scene NAME COMMENT REF OPTS [FILE=PATH…]
	local out=$1.txtar
	printf '%s\n-- call.json --\n{"ref": %s, "opts": %s, "now": "2030-01-01T00:00:00Z"}\n' "$2" "$3" "$4" >"$out"
	shift 4
	for file in "$@"; do
		case ${file%%=*} in
		*.base64) printf -- '-- %s --\n' "${file%%=*}" && base64 "${file#*=}" ;;
		*) printf -- '-- %s --\n' "${file%%=*}" && cat "${file#*=}" && echo ;;
		esac >>"$out"
	done
	printf -- '-- want.json --\n' >>"$out"
}

archive=$work/web-1.2.3.tgz
printf 'x' | cat "$archive" - >"$work/tampered.tgz"
trusted='{"keyrings": ["web-team"]}'
ring=keyrings/web-team=$work/web.asc
scene signed "The web team signed the chart." '"web-1.2.3.tgz"' "$trusted" \
	"web-1.2.3.tgz.base64=$archive" "web-1.2.3.tgz.prov=$archive.prov" "$ring"
scene tampered "One byte was appended after signing." '"web-1.2.3.tgz"' "$trusted" \
	"web-1.2.3.tgz.base64=$work/tampered.tgz" "web-1.2.3.tgz.prov=$archive.prov" "$ring"
scene unsigned "There is no provenance file." '"web-1.2.3.tgz"' "$trusted" \
	"web-1.2.3.tgz.base64=$archive" "$ring"
scene absent "There is no chart." '"web-1.2.3.tgz"' "$trusted" "$ring"
scene unknown_signer "Another team's key is trusted." '"web-1.2.3.tgz"' '{"keyrings": ["platform-team"]}' \
	"web-1.2.3.tgz.base64=$archive" "web-1.2.3.tgz.prov=$archive.prov" "keyrings/platform-team=$work/platform.asc"
scene renamed "An old chart under the name of a new one." '"web-2.0.0.tgz"' "$trusted" \
	"web-2.0.0.tgz.base64=$archive" "web-2.0.0.tgz.prov=$archive.prov" "$ring"
scene misspelt_option "The policy's author misspelt an option." '"web-1.2.3.tgz"' '{"keyring_names": ["web-team"]}' "$ring"
scene not_a_reference "An object's author wrote a number." '7' "$trusted" "$ring"
