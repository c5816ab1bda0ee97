// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// The packet types that make up a transferable key, RFC 9580 section 5.
const (
	tagSignature    = 2
	tagSecretKey    = 5
	tagPublicKey    = 6
	tagSecretSubkey = 7
	tagMarker       = 10
	tagTrust        = 12
	tagUserID       = 13
	tagPublicSubkey = 14
	tagPadding      = 21
)

// A Packet is one OpenPGP packet, framed and not looked into.
type Packet struct {
	Tag  int
	Body []byte
	Raw  []byte // header and body
}

// Signature says whether p is a signature packet.
func (p Packet) Signature() bool { return p.Tag == tagSignature }

// Packets walks the packets that data consists of. No length is believed
// beyond the end of data. The first fault in the framing ends the walk.
func Packets(data []byte) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for n := 1; len(data) > 0; n++ {
			p, err := nextPacket(data)
			if err != nil {
				yield(Packet{}, fmt.Errorf("packet %d: %w", n, err))
				return
			}
			if !yield(p, nil) {
				return
			}
			data = data[len(p.Raw):]
		}
	}
}

func nextPacket(data []byte) (Packet, error) {
	tag, header, length, err := parseHeader(data)
	if err != nil {
		return Packet{}, err
	}
	if length > uint64(len(data)-header) {
		return Packet{}, fmt.Errorf("type %d is %d bytes long, %d are left", tag, length, len(data)-header)
	}
	end := header + int(length)
	return Packet{Tag: tag, Body: data[header:end:end], Raw: data[:end:end]}, nil
}

var (
	errHeader   = errors.New("header is cut off")
	errUnframed = errors.New("length is partial or indeterminate, which only messages have")
)

// parseHeader reads a packet header in either format, RFC 9580 section 4.2.
func parseHeader(data []byte) (tag, header int, length uint64, err error) {
	if data[0]&0x80 == 0 {
		return 0, 0, 0, fmt.Errorf("byte 0x%02x begins no packet", data[0])
	}
	if data[0]&0x40 == 0 {
		tag = int(data[0]&0x3f) >> 2
		width := 1 << (data[0] & 3)
		if width == 8 {
			return 0, 0, 0, errUnframed
		}
		length, err = bigEndian(data[1:], width)
		return tag, 1 + width, length, err
	}
	width, length, err := parseLength(data[1:])
	return int(data[0] & 0x3f), 1 + width, length, err
}

// parseLength reads a length of the newer format, RFC 9580 section 4.2.1.
func parseLength(data []byte) (width int, length uint64, err error) {
	if len(data) == 0 {
		return 0, 0, errHeader
	}
	switch first := data[0]; {
	case first < 192:
		return 1, uint64(first), nil
	case first < 224:
		length, err = bigEndian(data, 2)
		return 2, length - 192<<8 + 192, err
	case first < 255:
		return 0, 0, errUnframed
	}
	length, err = bigEndian(data[1:], 4)
	return 5, length, err
}

func bigEndian(data []byte, width int) (uint64, error) {
	if len(data) < width {
		return 0, errHeader
	}
	var padded [8]byte
	copy(padded[8-width:], data[:width])
	return binary.BigEndian.Uint64(padded[:]), nil
}

// appendPacket writes a packet with a header of the newer format.
func appendPacket(to []byte, tag int, body []byte) []byte {
	to = append(to, 0xc0|byte(tag), 255)
	to = binary.BigEndian.AppendUint32(to, uint32(len(body)))
	return append(to, body...)
}
