// SPDX-License-Identifier: Apache-2.0

package shared

// See has a guard judge what a server sends, as it arrives in pieces.
func See(pieces ...[]byte) error {
	g := new(guard)
	for _, piece := range pieces {
		if err := g.see(piece); err != nil {
			return err
		}
	}
	return nil
}
