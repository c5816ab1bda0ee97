// SPDX-License-Identifier: Apache-2.0

package chartref

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// The grammars of the OCI distribution specification, "Pulling manifests".
var (
	repositoryPart = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)
	tagText        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]*$`)
	digestText     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// maxTag is the specification's. It is not counted in the expression, which
// would take long to compile.
const maxTag = 128

// maxRepository is where, as the specification warns, many clients end: host
// and repository in one.
const maxRepository = 255

// parseOCI reads what follows oci://. A tag that is a version may be written
// with its +, as Helm takes it; registries, and the canonical form, have _.
func parseOCI(rest string) (Ref, error) {
	host, named, err := ociRepository(rest)
	if err != nil {
		return Ref{}, err
	}
	named, digest, hasDigest := strings.Cut(named, "@")
	repository, tag, hasTag := strings.Cut(named, ":")
	ref := Ref{Kind: OCI, Scheme: "oci", Host: host, OCIPath: repository, text: "oci://" + host + "/" + repository}
	if err := checkRepository(host, repository); err != nil {
		return Ref{}, err
	}
	if !hasTag && !hasDigest {
		return Ref{}, errors.New("OCI reference has neither a tag nor a digest")
	}
	if hasTag {
		if ref.Tag, err = canonicalTag(tag); err != nil {
			return Ref{}, err
		}
		ref.text += ":" + ref.Tag
	}
	if hasDigest {
		if !digestText.MatchString(digest) {
			return Ref{}, fmt.Errorf("digest %s is not sha256: and 64 lower-case hexadecimal digits", quote(digest))
		}
		ref.Digest = digest
		ref.text += "@" + digest
	}
	return ref, nil
}

// ociRepository splits off the host of what has neither query nor fragment.
func ociRepository(rest string) (host, path string, err error) {
	if strings.ContainsAny(rest, "?#") {
		return "", "", errors.New("OCI reference has a query or a fragment")
	}
	authority, path, _ := strings.Cut(rest, "/")
	host, err = CanonicalHost("oci", authority)
	return host, path, err
}

func checkRepository(host, repository string) error {
	for part := range strings.SplitSeq(repository, "/") {
		if !repositoryPart.MatchString(part) {
			return fmt.Errorf("OCI repository %s has the part %s, want lower-case letters and digits with single separators between", quote(repository), quote(part))
		}
	}
	if n := len(host) + len("/") + len(repository); n > maxRepository {
		return fmt.Errorf("OCI host and repository have %d bytes, at most %d are allowed", n, maxRepository)
	}
	return nil
}

func canonicalTag(tag string) (string, error) {
	if Version(tag) {
		tag = strings.ReplaceAll(tag, "+", "_")
	}
	if !tagText.MatchString(tag) || len(tag) > maxTag {
		return "", fmt.Errorf("tag %s is not 1 to 128 letters, digits, dots, hyphens and underscores", quote(tag))
	}
	return tag, nil
}
