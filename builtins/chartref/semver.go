// SPDX-License-Identifier: Apache-2.0

package chartref

import "strings"

// SemVer says whether s is a version by Semantic Versioning 2.0.0, exactly:
// three numbers without leading zeros, no "v" before them.
func SemVer(s string) bool {
	core, build, hasBuild := strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(core, "-")
	numbers := strings.Split(core, ".")
	return len(numbers) == 3 && every(numbers, numeric) &&
		(!hasPre || every(strings.Split(pre, "."), preRelease)) &&
		(!hasBuild || every(strings.Split(build, "."), identifier))
}

// Version says whether s is a version as charts have them: [SemVer], or that
// after a "v", as Helm takes it too.
func Version(s string) bool { return SemVer(strings.TrimPrefix(s, "v")) }

// SameVersion says whether a chart of version has is what asking for wanted
// means: to the letter, build metadata too, but for one "v" before a [Version].
// Tags are often written with one.
func SameVersion(has, wanted string) bool {
	bare := func(s string) string {
		if Version(s) {
			return strings.TrimPrefix(s, "v")
		}
		return s
	}
	return bare(has) == bare(wanted)
}

func every(parts []string, ok func(string) bool) bool {
	for _, part := range parts {
		if !ok(part) {
			return false
		}
	}
	return true
}

// > Numeric identifiers MUST NOT include leading zeroes.
// https://semver.org/#spec-item-9
func numeric(s string) bool { return digits(s) && (s == "0" || s[0] != '0') }

func preRelease(s string) bool { return identifier(s) && (!digits(s) || numeric(s)) }

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// > Identifiers MUST comprise only ASCII alphanumerics and hyphens.
// https://semver.org/#spec-item-9
func identifier(s string) bool {
	for _, r := range s {
		if r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return s != ""
}
