// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/chartseal/chartseal/builtins"
)

// A rootVersion is one root.json of a repository.
type rootVersion struct {
	what    string // initial or kept
	version int64
	signed  string // what is signed, in one form
	raw     []byte
}

// parseRoot wants a root that signs itself. Whether it has expired is of no
// matter as long as it leads to one that has not.
func parseRoot(what string, raw []byte) (*rootVersion, error) {
	if _, err := trustedmetadata.New(raw); err != nil {
		return nil, fmt.Errorf("the %s root is no TUF root that signs itself: %s", what, builtins.Printable(err.Error()))
	}
	parsed, err := metadata.Root().FromBytes(raw)
	if err != nil {
		return nil, err
	}
	signed, err := json.Marshal(parsed.Signed)
	return &rootVersion{what, parsed.Signed.Version, string(signed), raw}, err
}

// A history is the roots that an update has to lead through. The client walks
// up from whatever root it is given. That alone would accept a mirror that
// hides newer roots, with keys that they revoked, and it would accept another
// repository in the place of the one that is kept. So the walk starts at the
// older of the initial root and the kept one, and must meet the other.
type history struct {
	start, through *rootVersion // through is nil for a first update
	last           int64
	met            bool
}

// meet puts the kept root, if there is one, into the history.
func (h *history) meet(kept []byte) error {
	h.last = h.start.version
	if kept == nil {
		return nil
	}
	root, err := parseRoot("kept", kept)
	if err != nil {
		return err
	}
	if root.version < h.start.version {
		root, h.start = h.start, root
	}
	h.through = root
	h.pass(h.start)
	if h.last == root.version && !h.met {
		return refuse("the initial root is not the kept root of version %d, so it is of another repository", root.version)
	}
	return nil
}

func (h *history) pass(r *rootVersion) {
	h.last = r.version
	h.met = h.met || (h.through != nil && r.version == h.through.version && r.signed == h.through.signed)
}

// see notes a file that came from the mirror. A root that the client does not
// accept ends the update anyway.
func (h *history) see(name string, raw []byte) {
	if !strings.HasSuffix(name, "."+rootFile) {
		return
	}
	if r, err := parseRoot("mirror's", raw); err == nil {
		h.pass(r)
	}
}

func (h *history) check() error {
	switch {
	case h.through == nil || h.met:
		return nil
	case h.last < h.through.version:
		return refuse("the roots of the mirror end at version %d, the %s root is version %d", h.last, h.through.what, h.through.version)
	}
	return refuse("the mirror's root %d is not the %s root of this version, so it is of another repository", h.through.version, h.through.what)
}
