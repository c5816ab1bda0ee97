// SPDX-License-Identifier: Apache-2.0

// Package chartref is the one parser for everything that names a chart.
package chartref

import "errors"

// A Kind says which form a reference has.
type Kind int

// The forms of a reference.
const (
	Invalid    Kind = iota
	OCI             // oci://host/repository[:tag][@digest]
	URL             // https://host/path/web-1.2.3.tgz
	Path            // a local archive or directory
	Inline          // {"archive": base64}
	Repository      // {"repository": URL, "name": …, "version": …}
)

// A Ref names a chart. It is made by [Parse], [FromValue] or [FromJSON], which
// always give one: a reference that is none carries its fault in [Ref.Err].
type Ref struct {
	Kind   Kind
	Scheme string // "oci", "https" or "http"; of the repository for a Repository
	Host   string // canonical: lower case, default port removed

	OCIPath string // OCI: the repository's path on the host, "charts/web"
	Tag     string // OCI: as written, "" if none
	Digest  string // OCI: "sha256:<hex>", "" if none

	URL     string // URL: with its query, for fetching; Repository: the repository's, without a final slash
	Path    string // Path: cleaned
	Archive []byte // Inline
	Name    string // Repository
	Version string // Repository: exact SemVer

	text string
	err  error
}

// Err is nil for a reference that names a chart.
func (r Ref) Err() error {
	if r.Kind == Invalid && r.err == nil {
		return errors.New("reference is empty")
	}
	return r.err
}

// String is the canonical form, without anything secret.
func (r Ref) String() string { return r.text }

// Expected is the name and version that the reference itself asks for; "" where it asks for none.
func (r Ref) Expected() (name, version string) { return r.Name, r.Version }

// Parse reads a reference that is written as a string.
func Parse(s string) Ref { return Ref{Kind: Path, Path: s, text: s} }

// FromValue reads a decoded JSON value: a string or an object.
func FromValue(v any) Ref { return Ref{err: errors.New("not implemented")} }

// FromJSON reads a JSON text.
func FromJSON(raw []byte) Ref { return Ref{err: errors.New("not implemented")} }
