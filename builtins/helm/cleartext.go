// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"strings"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/keyring"
)

const (
	beginMessage   = "-----BEGIN PGP SIGNED MESSAGE-----"
	beginSignature = "-----BEGIN PGP SIGNATURE-----"
)

// A cleartext is an OpenPGP message that is signed and left readable.
type cleartext struct {
	text   []byte // without escapes and trailing blanks, lines ended by \n
	signed []byte // the same with \r\n, as it was hashed
	armor  []byte // packets of the signature
}

// parseCleartext takes a file that is one cleartext-signed message, RFC 9580
// section 7, and nothing else. What cannot be said in two ways to two readers
// is all that passes: no text around it, no header but Hash, no line whose dash
// is not escaped, no carriage return within a line.
func parseCleartext(file []byte) (*cleartext, error) {
	line, rest := cutLine(file)
	if string(line) != beginMessage {
		return nil, malformed("provenance begins with %q, not with %q", builtins.Clip(string(line)), beginMessage)
	}
	rest, err := skipHashes(rest)
	if err != nil {
		return nil, err
	}
	lines, rest, err := signedLines(rest)
	if err != nil {
		return nil, err
	}
	kind, packets, before, after, err := keyring.Unarmor(rest)
	switch {
	case err != nil:
		return nil, malformed("provenance has no readable signature: %w", err)
	case kind != "SIGNATURE" || len(before) > 0:
		return nil, malformed("provenance has no signature block after its text")
	case len(bytes.TrimSpace(after)) > 0:
		return nil, malformed("provenance goes on after its signature with %q", builtins.Clip(string(bytes.TrimSpace(after))))
	}
	return &cleartext{
		text:   bytes.Join(lines, []byte("\n")),
		signed: bytes.Join(lines, []byte("\r\n")),
		armor:  packets,
	}, nil
}

// hashNames are what a Hash header may say. It is not signed and decides
// nothing, so MD5 is no worse there than anything else.
var hashNames = map[string]bool{
	"MD5": true, "SHA1": true, "RIPEMD160": true, "SHA224": true, "SHA256": true,
	"SHA384": true, "SHA512": true, "SHA3-256": true, "SHA3-512": true,
}

func skipHashes(rest []byte) ([]byte, error) {
	for {
		line, next := cutLine(rest)
		if len(next) == 0 {
			return nil, malformed("provenance ends within its headers")
		}
		rest = next
		if len(bytes.Trim(line, " \t")) == 0 {
			return rest, nil
		}
		names, isHash := strings.CutPrefix(string(line), "Hash:")
		if !isHash {
			return nil, malformed("provenance has the header %q, only Hash is permitted", builtins.Clip(string(line)))
		}
		for name := range strings.SplitSeq(names, ",") {
			if !hashNames[strings.ToUpper(strings.Trim(name, " \t"))] {
				return nil, malformed("provenance names the unknown hash %q", builtins.Clip(name))
			}
		}
	}
}

// signedLines reads up to the signature and gives the lines as they were signed.
func signedLines(rest []byte) (lines [][]byte, signature []byte, err error) {
	for len(rest) > 0 {
		line, next := cutLine(rest)
		if string(line) == beginSignature {
			return lines, rest, nil
		}
		if bytes.IndexByte(line, '\r') >= 0 {
			return nil, nil, malformed("line %d of the signed text has a carriage return inside", len(lines)+1)
		}
		line, escaped := bytes.CutPrefix(line, []byte("- "))
		if !escaped && bytes.HasPrefix(line, []byte("-")) {
			return nil, nil, malformed("line %d of the signed text begins with a dash that is not escaped", len(lines)+1)
		}
		lines, rest = append(lines, bytes.TrimRight(line, " \t")), next
	}
	return nil, nil, malformed("provenance has no signature block")
}

// cutLine takes the first line off text, without its line end.
func cutLine(text []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

func malformed(format string, args ...any) error {
	return builtins.Errorf(builtins.MalformedProvenance, format, args...)
}
