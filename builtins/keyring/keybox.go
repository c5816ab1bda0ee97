// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"encoding/binary"
	"fmt"
)

// The parts of a keybox blob, as GnuPG's kbx/keybox-blob.c describes them.
const (
	blobHeader    = 16 // up to and including the length of the keyblock
	blobOpenPGP   = 2
	blobEphemeral = 0x0002
)

// isKeybox knows a keybox by its first blob: type 1, with the magic KBXf.
func isKeybox(raw []byte) bool {
	return len(raw) >= 12 && raw[4] == 1 && string(raw[8:12]) == "KBXf"
}

// unbox gives the packets of all OpenPGP keyblocks in a keybox that are meant to last.
func unbox(raw []byte) ([]byte, error) {
	var packets []byte
	for n := 1; len(raw) > 0; n++ {
		if len(raw) < 5 {
			return nil, fmt.Errorf("keybox blob %d is cut off", n)
		}
		size := binary.BigEndian.Uint32(raw)
		if size < 5 || uint64(size) > uint64(len(raw)) {
			return nil, fmt.Errorf("keybox blob %d is %d bytes long, %d are left", n, size, len(raw))
		}
		block, err := keyblock(raw[:size])
		if err != nil {
			return nil, fmt.Errorf("keybox blob %d: %w", n, err)
		}
		packets, raw = append(packets, block...), raw[size:]
	}
	return packets, nil
}

func keyblock(blob []byte) ([]byte, error) {
	if blob[4] != blobOpenPGP {
		return nil, nil
	}
	if len(blob) < blobHeader {
		return nil, fmt.Errorf("%d bytes are too few for a key", len(blob))
	}
	if binary.BigEndian.Uint16(blob[6:])&blobEphemeral != 0 {
		return nil, nil
	}
	start, length := uint64(binary.BigEndian.Uint32(blob[8:])), uint64(binary.BigEndian.Uint32(blob[12:]))
	if start+length > uint64(len(blob)) {
		return nil, fmt.Errorf("keyblock ends at %d of %d bytes", start+length, len(blob))
	}
	return blob[start : start+length], nil
}
