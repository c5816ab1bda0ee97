// SPDX-License-Identifier: Apache-2.0

// Package chartref is the one parser for everything that names a chart. What
// it accepts has one canonical form, so that two spellings of one place are
// never taken for two places, nor two places for one.
package chartref

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Kind says which form a reference has.
type Kind int

// The forms of a reference.
const (
	Invalid    Kind = iota
	OCI             // oci://host/repository[:tag][@digest], with a tag, a digest or both
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
	Tag     string // OCI: "" if none; _ where a version has +
	Digest  string // OCI: "sha256:<hex>", "" if none

	URL     string // URL: with its query, for fetching; Repository: the repository's, without a final slash
	Path    string // Path: cleaned
	Archive []byte // Inline
	Name    string // Repository
	Version string // Repository: exact, see Version

	text string
	err  error
}

// Err is nil for a reference that names a chart.
func (r Ref) Err() error {
	if r.Kind == Invalid && r.err == nil {
		return errEmpty
	}
	return r.err
}

// String is the canonical form, without anything secret: a URL's query is
// shown as "?…". Of what is no reference it is a short printable form, without
// the parts of a URL in which secrets stand.
func (r Ref) String() string { return r.text }

// Expected is the name and version that the reference itself asks for. For a
// Repository these are its own; for an OCI reference the last path segment and
// the tag, if that is a version once _ is read as +. Otherwise they are "".
func (r Ref) Expected() (name, version string) {
	if r.Kind != OCI {
		return r.Name, r.Version
	}
	if v := strings.ReplaceAll(r.Tag, "_", "+"); Version(v) {
		version = v
	}
	return path.Base(r.OCIPath), version
}

// OCIRef is the reference into a registry that r stands for: r itself if it is
// an OCI reference, for a Repository in a registry the chart's repository
// there, with its version as the tag. For any other reference ok is false.
func (r Ref) OCIRef() (ref Ref, ok bool) {
	if r.Kind == OCI {
		return r, true
	}
	if r.Kind != Repository || r.Scheme != "oci" {
		return Ref{}, false
	}
	tag := strings.ReplaceAll(r.Version, "+", "_")
	return Parse(r.URL + "/" + r.Name + ":" + tag), true
}

// maxBytes bounds a reference as written; an inline archive is not written.
const maxBytes = 4096

var errEmpty = errors.New("reference is empty")

// Parse reads a reference that is written as a string. With "://" in it, it is
// a URL and held to the rules of one; without, it is a local path, taken as it
// stands: nothing in it is expanded.
func Parse(s string) Ref {
	ref, err := parse(s)
	if err != nil {
		return invalid(redact(s), err)
	}
	return ref
}

func parse(s string) (Ref, error) {
	if err := checkText(s); err != nil {
		return Ref{}, err
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return parsePath(s)
	}
	switch scheme := lower(scheme); scheme {
	case "oci":
		return parseOCI(rest)
	case "https", "http":
		return parseURL(scheme, rest)
	case "file":
		return parseFile(rest)
	default:
		return Ref{}, unknownScheme(scheme)
	}
}

// unknownScheme quotes only what can be a scheme: else it may be the start of
// another URL, with a password in it.
func unknownScheme(scheme string) error {
	shown := "before ://"
	if !strings.ContainsAny(scheme, "@:/?#") {
		shown = quote(scheme)
	}
	return fmt.Errorf("scheme %s is unknown, want oci, https, http or file", shown)
}

// checkText refuses what cannot be shown as it is: a report that replaces
// characters could show two references alike.
func checkText(s string) error {
	if s == "" {
		return errEmpty
	}
	if len(s) > maxBytes {
		return fmt.Errorf("reference has %d bytes, at most %d are allowed", len(s), maxBytes)
	}
	if !utf8.ValidString(s) {
		return errors.New("reference is not valid UTF-8")
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("reference holds the unprintable character %U", r)
		}
	}
	return nil
}

// parsePath reads a local path. Its text differs from that of an inline
// archive, whatever the file is called. A path that leads into a folder and
// back is refused: behind a symbolic link the way back leads elsewhere, and
// then the cleaned path names another file than Helm opens.
func parsePath(s string) (Ref, error) {
	if slashMissing(s) {
		scheme, _, _ := strings.Cut(s, ":")
		return Ref{}, fmt.Errorf("reference begins with %[1]s:/, want %[1]s://", scheme)
	}
	named := false
	for segment := range strings.SplitSeq(s, "/") {
		if segment == ".." && named {
			return Ref{}, fmt.Errorf("path %s has .. after the name of a folder, write it without", quote(s))
		}
		named = named || (segment != "" && segment != "." && segment != "..")
	}
	cleaned := path.Clean(s)
	text := cleaned
	if strings.HasPrefix(text, inlinePrefix) {
		text = "./" + text
	}
	return Ref{Kind: Path, Path: cleaned, text: text}, nil
}

// slashMissing says whether s is a URL that lacks a slash: nobody means a
// folder of that name.
func slashMissing(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":/")
	return ok && !strings.HasPrefix(rest, "/") && slices.Contains([]string{"http", "https", "oci"}, lower(scheme))
}

func invalid(text string, err error) Ref {
	return Ref{Kind: Invalid, text: printable(text), err: err}
}

// redact is s without the parts of a URL in which secrets stand. Where the
// parts cannot be told apart, all that might be one is left out.
func redact(s string) string {
	if slashMissing(s) {
		return s[:strings.Index(s, ":/")] + ":/…"
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	if strings.ContainsAny(scheme, "@:/?#") {
		return "…://…"
	}
	at, query := strings.LastIndexByte(rest, '@'), strings.IndexAny(rest, "?#")
	switch {
	case at >= 0 && query >= 0:
		return scheme + "://…"
	case at >= 0:
		return scheme + "://…" + rest[at:]
	case query >= 0:
		return scheme + "://" + rest[:query] + "?…"
	}
	return s
}

// printable is s without control characters, in at most 256 bytes.
func printable(s string) string {
	return clip(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(clip(s, 512), "\uFFFD")), 256)
}

// quote shows a part of a reference in an error, with look-alikes of ASCII escaped.
func quote(s string) string { return fmt.Sprintf("%+q", clip(s, 64)) }

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len("…")], "") + "…"
}
