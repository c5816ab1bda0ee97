// SPDX-License-Identifier: Apache-2.0

package chartref

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A location is a URL taken apart, its host canonical.
type location struct {
	scheme, host string
	path         string // without the first slash
	query        string
}

func parseLocation(scheme, rest string) (location, error) {
	if strings.Contains(rest, "#") {
		return location{}, errors.New("reference has a fragment")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	host, err := CanonicalHost(scheme, authority)
	if err != nil {
		return location{}, err
	}
	return location{scheme: scheme, host: host, path: path, query: query}, checkQuery(query)
}

func (l location) String() string {
	if l.path == "" {
		return l.scheme + "://" + l.host
	}
	return l.scheme + "://" + l.host + "/" + l.path
}

func parseURL(scheme, rest string) (Ref, error) {
	l, err := parseLocation(scheme, rest)
	if err != nil {
		return Ref{}, err
	}
	if l.path == "" {
		return Ref{}, errors.New("URL names no archive: it ends with its host")
	}
	if err := checkPath(l.path); err != nil {
		return Ref{}, err
	}
	ref := Ref{Kind: URL, Scheme: scheme, Host: l.host, URL: l.String(), text: l.String()}
	if l.query != "" {
		ref.URL, ref.text = ref.URL+"?"+l.query, ref.text+"?…"
	}
	return ref, nil
}

// parseFile reads what follows file://. The rules for URLs hold until the path
// is out of it.
func parseFile(rest string) (Ref, error) {
	escaped, ok := strings.CutPrefix(rest, "/")
	if !ok {
		return Ref{}, errors.New("file URL has a host or a relative path, want file:///path")
	}
	if strings.ContainsAny(escaped, "?#") {
		return Ref{}, errors.New("file URL has a query or a fragment")
	}
	escaped = strings.TrimSuffix(escaped, "/")
	if escaped == "" {
		return Ref{}, errors.New("file URL names the root directory")
	}
	if err := checkPath(escaped); err != nil {
		return Ref{}, err
	}
	decoded, err := url.PathUnescape(escaped)
	if err != nil {
		return Ref{}, err
	}
	return parsePath("/" + decoded)
}

// checkPath holds the path of a URL to what every client, proxy and server
// reads alike.
func checkPath(path string) error {
	for segment := range strings.SplitSeq(path, "/") {
		if err := checkSegment(segment); err != nil {
			return err
		}
	}
	return nil
}

func checkSegment(s string) error {
	switch s {
	case "":
		return errors.New("path has an empty segment")
	case ".", "..":
		return fmt.Errorf("path has the dot segment %q", s)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return !pathRune(r) }); i >= 0 {
		return fmt.Errorf("path segment %s holds a character that a URL does not, at byte %d", quote(s), i)
	}
	lower := strings.ToLower(s)
	for _, hidden := range []string{"%2f", "%5c", "%2e"} {
		if strings.Contains(lower, hidden) {
			return fmt.Errorf("path segment %s hides a slash, backslash or dot as %s", quote(s), hidden)
		}
	}
	decoded, err := url.PathUnescape(s)
	if err != nil || !utf8.ValidString(decoded) || strings.ContainsFunc(decoded, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("path segment %s is not printable text in percent-encoding", quote(s))
	}
	return nil
}

// pathRune says whether RFC 3986 has r in a segment.
func pathRune(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return true
	}
	return strings.ContainsRune("-._~!$&'()*+,;=:@%", r)
}

// checkQuery quotes nothing, since queries carry tokens.
func checkQuery(query string) error {
	for _, r := range query {
		if r <= ' ' || r > '~' {
			return errors.New("query holds a character that is not printable ASCII")
		}
	}
	return nil
}
