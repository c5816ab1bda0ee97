// SPDX-License-Identifier: Apache-2.0

package helm

// Signed is what was signed, as it is hashed.
func (u *Unverified) Signed() []byte { return u.signed.bytes }

// Signatures are the signature packets.
func (u *Unverified) Signatures() [][]byte { return u.signed.signatures }

// NoRoom lets no archive be held that is not tiny, until room is called.
func NoRoom() (room func()) {
	if !held.TryAcquire(16) {
		panic("archives are held that nobody reads")
	}
	return func() { held.Release(16) }
}
