// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

const (
	armorBegin = "-----BEGIN PGP "
	armorEnd   = "-----END PGP "
	armorTail  = "-----"

	// maxArmorLine is what the library that Helm uses takes; 76 are permitted.
	maxArmorLine = 96
)

// Armored says whether text holds an armored block, going by its first line
// or, if that cannot begin a packet, by any line.
func Armored(text []byte) bool {
	text = trimmed(text)
	if bytes.HasPrefix(text, []byte(armorBegin)) {
		return true
	}
	return len(text) > 0 && text[0] < 0x80 && bytes.Contains(text, []byte("\n"+armorBegin))
}

// trimmed is text without what editors put in front of it.
func trimmed(text []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\uFEFF")))
}

// Unarmor takes the first armored block off text. kind is what its first line
// says after PGP, as in "PUBLIC KEY BLOCK"; before and after are the text on
// either side. Without a block, kind is "".
//
// The checksum is optional and, as RFC 9580 section 6.1 asks, decides nothing.
func Unarmor(text []byte) (kind string, body, before, after []byte, err error) {
	rest := text
	for len(rest) > 0 && kind == "" {
		before = text[:len(text)-len(rest)]
		line, next := cutLine(rest)
		kind, rest = armorKind(line, armorBegin), next
	}
	if kind == "" {
		return "", nil, text, nil, nil
	}
	body, after, err = unarmorBody(kind, rest)
	return kind, body, before, after, err
}

func armorKind(line []byte, start string) string {
	line = bytes.TrimRight(line, " \t")
	kind, isMarker := bytes.CutPrefix(line, []byte(start))
	kind, isWhole := bytes.CutSuffix(kind, []byte(armorTail))
	if !isMarker || !isWhole {
		return ""
	}
	return string(kind)
}

// unarmorBody reads headers, an empty line, base64, perhaps a checksum, and
// the last line of the block.
func unarmorBody(kind string, rest []byte) (body, after []byte, err error) {
	var line, encoded []byte
	for {
		if len(rest) == 0 {
			return nil, nil, fmt.Errorf("armored %q ends within its headers", kind)
		}
		if line, rest = cutLine(rest); len(bytes.TrimSpace(line)) == 0 {
			break
		}
		if !bytes.Contains(line, []byte(":")) {
			return nil, nil, fmt.Errorf("armored %q has no empty line after its headers", kind)
		}
	}
	for checksum := false; len(rest) > 0; {
		line, rest = cutLine(rest)
		line = bytes.TrimSpace(line)
		switch {
		case armorKind(line, armorEnd) == kind:
			body, err = base64.StdEncoding.DecodeString(string(encoded))
			if err != nil {
				return nil, nil, fmt.Errorf("armored %q is not base64: %w", kind, err)
			}
			return body, rest, nil
		case len(line) == 0:
		case len(line) > maxArmorLine:
			return nil, nil, fmt.Errorf("armored %q has a line of %d characters", kind, len(line))
		case checksum:
			return nil, nil, fmt.Errorf("armored %q goes on after its checksum", kind)
		case len(line) == 5 && line[0] == '=':
			checksum = true
		default:
			encoded = append(encoded, line...)
		}
	}
	return nil, nil, fmt.Errorf("armored %q does not end", kind)
}

// cutLine takes the first line off text, without its line end.
func cutLine(text []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}
