// SPDX-License-Identifier: Apache-2.0

package helm

// Signed is what was signed, as it is hashed.
func (u *Unverified) Signed() []byte { return u.signed.bytes }

// Signatures are the signature packets.
func (u *Unverified) Signatures() [][]byte { return u.signed.signatures }
