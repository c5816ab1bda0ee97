// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"encoding/binary"
	"errors"
)

const subpacketEmbeddedSignature = 32

var errSubpackets = errors.New("subpackets of the signature are malformed or nested")

// Embedded gives the bodies of the signatures that lie directly in the body of
// a signature packet. The library parses them at any depth, each level copying
// all below, so they have to be counted before it sees them. A version that
// the library does not support has none.
func Embedded(body []byte) (embedded [][]byte, err error) {
	if len(body) == 0 || (body[0] != 4 && body[0] != 6) {
		return nil, nil
	}
	rest := body[min(4, len(body)):]
	for range 2 { // the hashed area and the other
		var area []byte
		if area, rest, err = subpacketArea(body[0], rest); err != nil {
			return nil, err
		}
		for len(area) > 0 {
			var p []byte
			if p, area, err = subpacket(area); err != nil {
				return nil, err
			}
			if p[0]&0x7f == subpacketEmbeddedSignature {
				embedded = append(embedded, p[1:])
			}
		}
	}
	return embedded, nil
}

func subpacketArea(version byte, data []byte) (area, rest []byte, err error) {
	width := 2
	if version == 6 {
		width = 4
	}
	if len(data) < width {
		return nil, nil, errSubpackets
	}
	length, _ := bigEndian(data, width)
	if data = data[width:]; length > uint64(len(data)) {
		return nil, nil, errSubpackets
	}
	return data[:length], data[length:], nil
}

// subpacket takes the first subpacket, type and all, off an area that is not
// empty, RFC 9580 section 5.2.3.7.
func subpacket(area []byte) (p, rest []byte, err error) {
	var length uint64
	switch first := area[0]; {
	case first < 192:
		length, area = uint64(first), area[1:]
	case first < 255 && len(area) >= 2:
		length, area = uint64(binary.BigEndian.Uint16(area))-192<<8+192, area[2:]
	case first == 255 && len(area) >= 5:
		length, area = uint64(binary.BigEndian.Uint32(area[1:])), area[5:]
	}
	if length == 0 || length > uint64(len(area)) {
		return nil, nil, errSubpackets
	}
	return area[:length], area[length:], nil
}

// shallow says whether a signature has at most the one level of embedding
// that a key uses: the cross-signature in the binding of a signing subkey.
func shallow(body []byte) bool {
	embedded, err := Embedded(body)
	if err != nil {
		return false
	}
	for _, e := range embedded {
		if deeper, err := Embedded(e); err != nil || len(deeper) > 0 {
			return false
		}
	}
	return true
}
