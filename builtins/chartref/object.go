// SPDX-License-Identifier: Apache-2.0

package chartref

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const inlinePrefix = "inline:"

// FromValue reads a decoded JSON value: a string as [Parse] does, or an object
// that has either "archive" or "repository", "name" and "version". Anything
// else is no reference.
func FromValue(v any) Ref {
	switch v := v.(type) {
	case string:
		return Parse(v)
	case map[string]any:
		ref, err := fromObject(v)
		if err != nil {
			return invalid(describe(v), err)
		}
		return ref
	}
	return invalid(kindOf(v), fmt.Errorf("reference is %s, want a string or an object", kindOf(v)))
}

// FromJSON reads a JSON text as [FromValue] reads its value. An object that
// names a member twice is no reference, nor is a text that is followed by more.
func FromJSON(raw []byte) Ref {
	v, err := decode(raw)
	if err != nil {
		return invalid("malformed JSON", err)
	}
	return FromValue(v)
}

func decode(raw []byte) (any, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("reference is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	var v any
	var err error
	if bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		v, err = decodeObject(dec)
	} else {
		err = dec.Decode(&v)
	}
	if err != nil {
		return nil, fmt.Errorf("reference is not JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("reference is followed by more JSON")
	}
	return v, nil
}

func decodeObject(dec *json.Decoder) (map[string]any, error) {
	object := map[string]any{}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("member %s stands there twice", quote(name))
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		object[name] = value
	}
	_, err := dec.Token()
	return object, err
}

func fromObject(v map[string]any) (Ref, error) {
	if _, ok := v["archive"]; ok {
		if err := checkMembers(v, "archive"); err != nil {
			return Ref{}, err
		}
		return inline(v["archive"].(string))
	}
	if err := checkMembers(v, "repository", "name", "version"); err != nil {
		return Ref{}, err
	}
	return repository(v["repository"].(string), v["name"].(string), v["version"].(string))
}

// checkMembers wants exactly these members, all strings.
func checkMembers(v map[string]any, want ...string) error {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if !slices.Contains(want, name) {
			return fmt.Errorf("reference object has the member %s, want %s", quote(name), strings.Join(want, ", "))
		}
	}
	for _, name := range want {
		value, ok := v[name]
		if !ok {
			return fmt.Errorf("reference object has no %s", name)
		}
		if _, ok := value.(string); !ok {
			return fmt.Errorf("%s of the reference object is %s, want a string", name, kindOf(value))
		}
	}
	return nil
}

// inline decodes an archive. Line breaks are refused, though encoding/base64
// skips them even when it is strict.
func inline(encoded string) (Ref, error) {
	if encoded == "" {
		return Ref{}, errors.New("archive of the reference object is empty")
	}
	archive, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return Ref{}, errors.New("archive of the reference object is not standard base64 with padding, on one line")
	}
	sum := sha256.Sum256(archive)
	return Ref{Kind: Inline, Archive: archive, text: inlinePrefix + "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// A name may have what Helm's own names have. Its length is counted apart: a
// repetition that is counted in the expression costs a millisecond to compile,
// at each start.
var chartName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

const maxName, maxVersion = 250, 256

func repository(at, name, version string) (Ref, error) {
	if !chartName.MatchString(name) || len(name) > maxName || name == "." || name == ".." {
		return Ref{}, fmt.Errorf("name %s is no chart name: want letters, digits, dots, hyphens and underscores", quote(name))
	}
	if !Version(version) || len(version) > maxVersion {
		return Ref{}, fmt.Errorf("version %s is not one exact version such as 1.2.3 or v1.2.3", quote(version))
	}
	l, err := repositoryLocation(at)
	if err != nil {
		return Ref{}, fmt.Errorf("repository: %w", err)
	}
	ref := Ref{
		Kind: Repository, Scheme: l.scheme, Host: l.host, URL: l.String(), Name: name, Version: version,
		text: l.String() + "#" + name + "@" + version,
	}
	if chart, ok := ref.OCIRef(); ok && chart.Err() != nil {
		return Ref{}, fmt.Errorf("chart in the repository: %w", chart.Err())
	}
	return ref, nil
}

// repositoryLocation reads a repository's URL: https or http for one with an
// index, oci for a registry. A query is refused: index and archives stand
// below the URL, where it would get lost or be repeated.
func repositoryLocation(at string) (location, error) {
	if err := checkText(at); err != nil {
		return location{}, err
	}
	scheme, rest, _ := strings.Cut(at, "://")
	scheme = lower(scheme)
	if _, ok := defaultPorts[scheme]; !ok || !strings.Contains(at, "://") {
		return location{}, errors.New("URL has another scheme than oci, https or http")
	}
	if strings.Contains(rest, "?") {
		return location{}, errors.New("URL has a query")
	}
	l, err := parseLocation(scheme, rest)
	if err != nil {
		return location{}, err
	}
	if l.path == "" {
		return l, nil
	}
	l.path = strings.TrimSuffix(l.path, "/")
	return l, checkPath(l.path)
}

// describe names the members of an object and none of their values.
func describe(v map[string]any) string {
	names := slices.Sorted(maps.Keys(v))
	return "object {" + clip(strings.Join(names[:min(len(names), 8)], ", "), 128) + "}"
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case float64, json.Number, int, int64:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "of an unknown type"
}
