// SPDX-License-Identifier: Apache-2.0

// Package tufrepo makes repositories of The Update Framework that hold a
// trusted root, as sigstore's instances have them. Tests use it.
//
//	repo := tufrepo.New(vs.Root())
//	initial := repo.Root()
//	repo.Version++
//	repo.Rotate(metadata.TIMESTAMP)
//	repo.Write(dir)
//
// Whatever is exported may be changed between two writings, and what was
// written may be changed after: that makes every kind of bad mirror.
package tufrepo

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// A Repository is what its owner has: all keys, and what is to be published.
type Repository struct {
	Target  []byte               // trusted_root.json
	Version int64                // of timestamp, snapshot and targets
	Expires map[string]time.Time // of a role; in a year without

	roots [][]byte // by version, from 1
	keys  map[string]ed25519.PrivateKey
}

var roles = []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS}

// New is a repository of version 1, with a key for each role.
func New(target []byte) *Repository {
	r := &Repository{Target: target, Version: 1, Expires: map[string]time.Time{}, keys: map[string]ed25519.PrivateKey{}}
	r.Rotate(roles...)
	return r
}

// Rotate publishes a root with new keys for these roles.
func (r *Repository) Rotate(roles ...string) {
	before := r.keys[metadata.ROOT]
	for _, role := range roles {
		_, r.keys[role] = newKey()
	}
	root := metadata.Root(r.expires(metadata.ROOT))
	root.Signed.Version = int64(len(r.roots) + 1)
	for role, key := range r.keys {
		ok(root.Signed.AddKey(must(metadata.KeyFromPublicKey(key.Public())), role))
	}
	if before != nil && !before.Equal(r.keys[metadata.ROOT]) {
		must(root.Sign(signer(before)))
	}
	must(root.Sign(signer(r.keys[metadata.ROOT])))
	r.roots = append(r.roots, must(root.ToBytes(false)))
}

// Root is the root of version 1, RootVersion that of another.
func (r *Repository) Root() []byte { return r.RootVersion(1) }

// RootVersion is root.json of a version.
func (r *Repository) RootVersion(n int) []byte { return r.roots[n-1] }

// Files are all files of a mirror by their names.
func (r *Repository) Files() map[string][]byte {
	files := map[string][]byte{}
	for i, raw := range r.roots {
		files[fmt.Sprintf("%d.root.json", i+1)] = raw
	}
	sum := sha256.Sum256(r.Target)
	files["targets/"+hex.EncodeToString(sum[:])+".trusted_root.json"] = r.Target

	targets := metadata.Targets(r.expires(metadata.TARGETS))
	targets.Signed.Version = r.Version
	targets.Signed.Targets["trusted_root.json"] = must(metadata.TargetFile().FromBytes("trusted_root.json", r.Target, "sha256"))
	files[fmt.Sprintf("%d.targets.json", r.Version)] = sign(r, metadata.TARGETS, targets)

	snapshot := metadata.Snapshot(r.expires(metadata.SNAPSHOT))
	snapshot.Signed.Version = r.Version
	snapshot.Signed.Meta["targets.json"] = metadata.MetaFile(r.Version)
	files[fmt.Sprintf("%d.snapshot.json", r.Version)] = sign(r, metadata.SNAPSHOT, snapshot)

	timestamp := metadata.Timestamp(r.expires(metadata.TIMESTAMP))
	timestamp.Signed.Version = r.Version
	timestamp.Signed.Meta["snapshot.json"] = metadata.MetaFile(r.Version)
	files["timestamp.json"] = sign(r, metadata.TIMESTAMP, timestamp)
	return files
}

// Write leaves a mirror in a folder, in the place of the one before.
func (r *Repository) Write(dir string) {
	ok(os.RemoveAll(dir))
	for name, raw := range r.Files() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		ok(os.MkdirAll(filepath.Dir(path), 0o755))
		ok(os.WriteFile(path, raw, 0o644))
	}
}

func (r *Repository) expires(role string) time.Time {
	if end, given := r.Expires[role]; given {
		return end
	}
	return time.Now().AddDate(1, 0, 0)
}

func sign[T metadata.Roles](r *Repository, role string, m *metadata.Metadata[T]) []byte {
	must(m.Sign(signer(r.keys[role])))
	return must(m.ToBytes(false))
}

func signer(key ed25519.PrivateKey) signature.Signer {
	return must(signature.LoadSigner(key, crypto.Hash(0)))
}

func newKey() (ed25519.PublicKey, ed25519.PrivateKey) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	ok(err)
	return public, private
}

func must[T any](v T, err error) T {
	ok(err)
	return v
}

func ok(err error) {
	if err != nil {
		panic(err)
	}
}
