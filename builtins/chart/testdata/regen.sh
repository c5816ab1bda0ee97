#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes lock_ok/*.txtar anew: real helm locks and packages, chartseal pins.
# Give it a folder with helm3 in it and the chartseal command; want.json is then
# written by go test ./builtins/chart -run TestCases -update, and read by you.
set -euo pipefail
helm=$(realpath "$1")/helm3
chartseal=$(realpath "$2")
cd "$(dirname "$0")/lock_ok"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm
web=$work/web
mkdir -p "$web/templates" "$web/lib/common/templates"
printf 'apiVersion: v2\nname: web\nversion: 1.2.3\ndependencies:\n- name: common\n  version: ^1.0.0\n  repository: file://lib/common\n' >"$web/Chart.yaml"
printf 'apiVersion: v2\nname: common\nversion: 1.0.4\ntype: library\n' >"$web/lib/common/Chart.yaml"
printf 'helpers: true\n' >"$web/lib/common/templates/helpers.yaml"
"$helm" dependency update "$web" >/dev/null

packed() { # packed NAME: the archive that real helm makes of the chart now
	"$helm" package "$web" -d "$work/$1" >/dev/null
	printf '%s/web-1.2.3.tgz' "$work/$1"
}
scene() { # scene NAME COMMENT OPTS
	printf '%s\n-- call.json --\n{"ref": "web-1.2.3.tgz", "opts": %s, "now": "2030-01-01T00:00:00Z"}\n-- web-1.2.3.tgz.base64 --\n' "$2" "$3" >"$1.txtar"
	base64 "$(packed "$1")" >>"$1.txtar"
	printf -- '-- want.json --\n' >>"$1.txtar"
}

allowed='{"allow_file_repositories": true}'
scene unpinned "Nothing tells what the dependency's bytes should be." "$allowed"
scene content_off "The same, when nothing is asked to." '{"allow_file_repositories": true, "content": []}'
"$chartseal" lock write --options "$allowed" "$web" >/dev/null
scene pinned "The dependency is as it was pinned." "$allowed"
scene file_repository "The same, where folders are no repositories." '{}'
cp "$web/Chart.yaml" "$work/Chart.yaml"
sed -i 's/\^1.0.0/^1.0.1/' "$web/Chart.yaml"
scene stale_lock "The chart requests another range than when it was locked." "$allowed"
cp "$work/Chart.yaml" "$web/Chart.yaml"
mkdir -p "$web/charts/evil"
printf 'apiVersion: v2\nname: evil\nversion: 6.6.6\n' >"$web/charts/evil/Chart.yaml"
scene undeclared "Somebody put a chart beside the locked one." "$allowed"
rm -r "$web/charts/evil"
printf 'backdoor: true\n' >"$web/lib/common/templates/helpers.yaml"
"$helm" package "$web/lib/common" -d "$web/charts" >/dev/null
scene tampered "A file of the dependency was altered after it was pinned." "$allowed"
