// SPDX-License-Identifier: Apache-2.0

// Package tuf refreshes a trusted root in the trust directory through The
// Update Framework: the mirror of a sigstore instance is asked, and what it
// says counts only as far as the instance's own keys signed it.
//
// No check comes here. It is for people and jobs that ask for an update.
package tuf

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	client "github.com/sigstore/sigstore-go/pkg/tuf"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/trust"
)

// PublicGood is the name of the trusted root of sigstore's public good instance.
const PublicGood = "public-good"

// target is what is asked for, by the name that every sigstore instance gives it.
const target = "trusted_root.json"

// deadline bounds an update in all, be its mirror slow or its history long.
const deadline = 2 * time.Minute

// A Mirror is where a TUF repository can be read.
type Mirror struct {
	URL      string // https:// or file://; "" is the public good instance's
	Root     []byte // root.json to start from; nil is the public good instance's
	Insecure bool   // whether URL may be http://: what it loses is secrecy and freshness, not integrity
}

// A Refused error says why what the mirror holds must not be taken.
type Refused string

func (e Refused) Error() string { return string(e) }

// An Unavailable error says why the mirror could not be read. Later it may be.
type Unavailable string

func (e Unavailable) Error() string { return string(e) }

// A Result is how an update went.
type Result struct {
	File    string // within the trust directory
	Digest  string // of the trusted root that is now there
	Changed bool   // whether that is another than before
}

// Refresh takes the trusted root of a mirror into the trust directory dir as
// roots/<name>.json. It is replaced whole or not at all, and so is the TUF
// metadata in .tuf/<name>, against which the next update is held.
//
//   - Metadata that is not signed as the root says, whose time is over, or that
//     is older than what is kept, is [Refused]; so is a mirror whose roots do
//     not lead from the initial root through the one that is kept, which is
//     then of another repository.
//   - A trusted root that differs from its signed digest, exceeds limits.Trust
//     or cannot be read, is Refused.
//   - A mirror that does not answer is [Unavailable].
//   - Any other error is in the arguments or in the directory.
func Refresh(ctx context.Context, dir, name string, from Mirror, limits builtins.Limits) (*Result, error) {
	if err := trust.CheckName(name); err != nil {
		return nil, err
	}
	initial, err := parseRoot("initial", from.initial())
	if err != nil {
		return nil, err
	}
	mirror, err := open(from, limits)
	if err != nil {
		return nil, err
	}
	defer mirror.Close()
	store, err := openStore(dir, name)
	if err != nil {
		return nil, err
	}
	defer store.Close()

	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	history := &history{start: initial}
	if err := history.meet(store.metadata[rootFile]); err != nil {
		return nil, err
	}
	fetched, err := fetch(store.metadata, history, recording(ctx, mirror, history, limits.Trust))
	if err != nil {
		return nil, err
	}
	if err := history.check(); err != nil {
		return nil, err
	}
	if err := fetched.check(); err != nil {
		return nil, err
	}
	return store.keep(fetched)
}

func (m Mirror) initial() []byte {
	if m.Root == nil {
		return client.DefaultRoot()
	}
	return m.Root
}

func (m Mirror) address() string {
	if m.URL == "" {
		return client.DefaultMirror
	}
	return strings.TrimRight(m.URL, "/")
}

// A repository is a trusted root with the metadata that speaks for it, by the
// names of their files.
type repository struct {
	metadata    map[string][]byte
	trustedRoot []byte
}

// base is what the client takes for the mirror's address: where it really is,
// only the fetcher knows.
const base = "tuf://mirror"

// fetch lets sigstore's client do the work of the specification in a folder of
// its own, so that nothing of an update that fails is kept.
func fetch(kept map[string][]byte, h *history, from *recorder) (*repository, error) {
	folder, err := os.MkdirTemp("", "chartseal-tuf-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	cache := filepath.Join(folder, client.URLToPath(base))
	if err := writeAll(cache, kept); err != nil {
		return nil, err
	}
	c, err := client.New(&client.Options{Root: h.start.raw, CachePath: folder, RepositoryBaseURL: base, Fetcher: from})
	if err != nil {
		return nil, from.explain(err)
	}
	r := &repository{}
	if r.trustedRoot, err = c.GetTarget(target); err != nil {
		return nil, from.explain(err)
	}
	r.metadata, err = readAll(os.DirFS(cache), ".")
	return r, err
}

// check wants of a trusted root what the trust store and the verifier want.
func (r *repository) check() error {
	err := trust.CheckTrustedRoot(r.trustedRoot)
	if err == nil {
		_, err = root.NewTrustedRootFromJSON(r.trustedRoot)
	}
	if err != nil {
		return refuse("%s is signed and of no use: %s", target, err)
	}
	return nil
}

func writeAll(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, raw := range files {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func equal(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }
