// SPDX-License-Identifier: Apache-2.0

package chart

import "github.com/Masterminds/semver/v3"

// A versionRange is what Helm makes of the version that a chart requests. One
// that Helm cannot read, or that nobody writes so long, has no versions.
type versionRange struct {
	constraint *semver.Constraints
	length     int // of its text, with which the cost of asking grows
}

const maxRange = 1024

func parseRange(text string) versionRange {
	if len(text) > maxRange {
		return versionRange{}
	}
	constraint, err := semver.NewConstraint(text)
	if err != nil {
		return versionRange{}
	}
	return versionRange{constraint, len(text)}
}

// parseVersion is nil for what Helm takes for no version.
func parseVersion(text string) *semver.Version {
	version, err := semver.NewVersion(text)
	if err != nil {
		return nil
	}
	return version
}

func (r versionRange) has(version *semver.Version) bool {
	return r.constraint != nil && version != nil && r.constraint.Check(version)
}
