// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bytes"
	"encoding/base64"
	"regexp"

	"github.com/chartseal/chartseal/builtins"
)

// A mutation is one change to a signed chart that is otherwise good.
type mutation struct {
	name   string
	change func(*signed)
	opts   map[string]any
	want   builtins.Code
	helm   acceptance // nonetheless
}

// mutations apply to every signed chart; other is one by the same key, and
// stranger a key that did not sign.
func mutations(other signed, stranger key) []mutation {
	two := base64.StdEncoding.EncodeToString(append(bytes.Clone(other.by.public), stranger.public...))
	revoked := map[string]any{"revoked": base64.StdEncoding.EncodeToString(other.by.public)}
	return []mutation{
		{"P1 provenance absent", func(s *signed) { s.prov = nil }, nil, builtins.NoProvenance, neither},
		{"P2 provenance empty", func(s *signed) { s.prov = []byte{} }, nil, builtins.MalformedProvenance, neither},
		{"P2 provenance is a page", func(s *signed) { s.prov = []byte("<html>Not here, sorry</html>") }, nil, builtins.MalformedProvenance, neither},
		{"P3 archive cut", func(s *signed) { s.archive = s.archive[:len(s.archive)-1] }, nil, builtins.DigestMismatch, neither},
		{"P3 one byte of the archive flipped", func(s *signed) { flip(&s.archive, len(s.archive)/2) }, nil, builtins.DigestMismatch, neither},
		{"P5 signers names another key", nothing, map[string]any{"signers": []string{stranger.fingerprint}}, builtins.UntrustedSigner, both},
		{"P9 archive renamed to another version", func(s *signed) { s.file = s.source.name + "-99.0.0.tgz" }, nil, builtins.VersionMismatch, neither},
		{"P9 archive renamed to another chart", func(s *signed) { s.file = "other-" + s.version + ".tgz" }, nil, builtins.NameMismatch, neither},
		{"P13 text before the block", func(s *signed) { s.prov = append([]byte("trust me\n"), s.prov...) }, nil, builtins.MalformedProvenance, both},
		{"P13 another block behind", func(s *signed) { s.prov = join(s.prov, other.prov) }, nil, builtins.MalformedProvenance, both},
		{"P13 another block before", func(s *signed) { s.prov = join(other.prov, s.prov) }, nil, builtins.MalformedProvenance, neither},
		{"P19 key listed as revoked", nothing, revoked, builtins.KeyRevoked, both},
		{"P27 threshold of two", nothing, map[string]any{"threshold": 2, "keyring": two}, builtins.Threshold, both},
		{"signed checksum changed", func(s *signed) { s.prov = checksum.ReplaceAll(s.prov, []byte("sha256:00000000")) }, nil, builtins.BadSignature, neither},
		{"signature changed", func(s *signed) { flip(&s.prov, bytes.LastIndex(s.prov, []byte("\n-----END"))-30) }, nil, builtins.BadSignature, neither},
		{"provenance of another chart", func(s *signed) { s.prov = other.prov }, nil, builtins.DigestMismatch, neither},
		{"another version asked for", nothing, map[string]any{"chart": map[string]any{"version": "99.0.0"}}, builtins.VersionMismatch, both},
		{"another name asked for", nothing, map[string]any{"chart": map[string]any{"name": "other"}}, builtins.NameMismatch, both},
	}
}

var checksum = regexp.MustCompile(`sha256:[0-9a-f]{8}`)

func nothing(*signed) {}

func join(a, b []byte) []byte { return append(append(bytes.Clone(a), '\n'), b...) }

// flip changes one byte, to one that armor has too.
func flip(b *[]byte, at int) {
	*b = bytes.Clone(*b)
	if (*b)[at] == 'A' {
		(*b)[at] = 'B'
	} else {
		(*b)[at] = 'A'
	}
}
