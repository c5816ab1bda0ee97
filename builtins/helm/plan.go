// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/keyring"
)

// A plan is options that are understood, with the keyrings that they name.
type plan struct {
	env        *builtins.Env
	keys       rings
	revoked    rings
	repository *repository // nil without repository_keyring
	signers    []string
	threshold  int
	atSigning  bool
	provenance string
	chart      builtins.Expected
}

// A repository is where the keyring of a chart repository comes from.
type repository struct {
	root rings
	url  string
}

// rings are keyrings with the material that they were read from.
type rings struct {
	set       keyring.Set
	materials []builtins.Material
}

// plan finds every mistake that can be found without a reference. Its errors
// are the policy author's.
func (o VerifyProvOptions) plan(env *builtins.Env) (*plan, error) {
	p := &plan{env: env, threshold: 1, chart: o.Chart}
	if err := o.Chart.Check(); err != nil {
		return nil, err
	}
	if o.Provenance != nil {
		p.provenance = *o.Provenance
		if p.provenance == "" {
			return nil, errors.New("provenance is empty: leave it out")
		}
	}
	if err := p.checkProvenance(); err != nil {
		return nil, err
	}
	if err := p.setKeyTime(o.KeyTime); err != nil {
		return nil, err
	}
	if err := p.trustKeys(o); err != nil {
		return nil, err
	}
	if err := p.countSigners(o); err != nil {
		return nil, err
	}
	return p, nil
}

// checkProvenance wants the text of a provenance, or a place to read it from.
func (p *plan) checkProvenance() error {
	where := p.provenance
	switch _, _, text := strings.Cut(where, "-----BEGIN PGP "); {
	case where == "" || strings.HasPrefix(where, beginMessage):
		return nil
	case text:
		return fmt.Errorf("provenance is a text that does not begin with %q", beginMessage)
	}
	return checkLocation("provenance", where)
}

// checkLocation wants what [builtins.Source.Fetch] takes.
func checkLocation(option, location string) error {
	ref := chartref.Parse(location)
	if err := ref.Err(); err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	if ref.Kind != chartref.URL && ref.Kind != chartref.Path {
		return fmt.Errorf("%s is %q, want an https URL or a path", option, builtins.Clip(ref.String()))
	}
	return nil
}

func (p *plan) trustKeys(o VerifyProvOptions) (err error) {
	if p.revoked, err = p.load("revoked_keyrings", o.RevokedKeyrings, "revoked", o.Revoked); err != nil {
		return err
	}
	if p.keys, err = p.load("keyrings", o.Keyrings, "keyring", o.Keyring); err != nil {
		return err
	}
	given := len(p.keys.set) > 0
	switch r := o.RepositoryKeyring; {
	case r == nil && !given:
		return errors.New("no keys are trusted: give keyrings, keyring or repository_keyring")
	case r != nil && given:
		return errors.New("repository_keyring means only the keys of the repository, keyrings or keyring name others: give one of them")
	case r != nil:
		return p.trustRepository(*r)
	}
	return nil
}

func (p *plan) trustRepository(o RepositoryKeyring) error {
	root, err := p.load("root_keyrings", o.RootKeyrings, "root_keyring", o.RootKeyring)
	if err != nil {
		return fmt.Errorf("repository_keyring: %w", err)
	}
	if len(root.set) == 0 {
		return errors.New("repository_keyring trusts no root key: give root_keyrings or root_keyring")
	}
	if o.URL != "" && !strings.Contains(o.URL, "://") {
		return fmt.Errorf("repository_keyring.url is %q, want a URL with its scheme", builtins.Clip(o.URL))
	}
	if o.URL != "" {
		if err := checkLocation("repository_keyring.url", o.URL); err != nil {
			return err
		}
	}
	p.repository = &repository{root: root, url: o.URL}
	return nil
}

// load gets named keyrings and an inline one, by the options that name them.
func (p *plan) load(byName string, names []string, inlined string, inline *string) (r rings, err error) {
	for _, name := range names {
		m, err := p.named(name)
		if err != nil {
			return rings{}, fmt.Errorf("%s: %w", byName, err)
		}
		if err := r.add(p.env, m); err != nil {
			return rings{}, fmt.Errorf("%s: keyring %q: %w", byName, builtins.Clip(name), err)
		}
	}
	if inline == nil {
		return r, nil
	}
	switch err := p.inline(&r, *inline); {
	case err != nil && keyringName.MatchString(*inline):
		return rings{}, fmt.Errorf("%s is not an OpenPGP keyring; names of keyrings go in %s", inlined, byName)
	case err != nil:
		return rings{}, fmt.Errorf("%s: %w", inlined, err)
	}
	return r, nil
}

func (p *plan) inline(r *rings, text string) error {
	raw, err := decodeInline(text, p.env.Limits.Trust)
	if err != nil {
		return err
	}
	m, err := p.env.Inline(raw)
	if err != nil {
		return err
	}
	return r.add(p.env, m)
}

// keyringName is what nobody would write for a keyring itself.
var keyringName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (p *plan) named(name string) (builtins.Material, error) {
	if p.env.Trust == nil {
		return builtins.Material{}, errors.New("no trust store is given, so no keyring has a name")
	}
	return p.env.Trust.Keyring(name)
}

// decodeInline reads a keyring that stands in the options: armor as it is,
// base64 of anything else.
func decodeInline(text string, limit int64) ([]byte, error) {
	if keyring.Armored([]byte(text)) {
		return within([]byte(text), limit)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("neither an armored keyring nor base64 of one")
	}
	return within(raw, limit)
}

func within(raw []byte, limit int64) ([]byte, error) {
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("keyring exceeds the limit of %d bytes", limit)
	}
	return raw, nil
}

func (r *rings) add(env *builtins.Env, m builtins.Material) error {
	ring, err := builtins.Remember(env, "keyring", m.Digest, func(*keyring.Ring) int64 { return int64(4 * len(m.Raw)) }, func() (*keyring.Ring, error) { return keyring.Parse(m.Raw) })
	if err != nil {
		return err
	}
	r.set = append(r.set, keyring.Member{Name: m.Name, Ring: ring})
	r.materials = append(r.materials, m)
	return nil
}

func (p *plan) countSigners(o VerifyProvOptions) error {
	if o.Signers != nil && len(o.Signers) == 0 {
		return errors.New("signers is empty, so nobody could sign: leave it out, or name a key")
	}
	for _, s := range o.Signers {
		fingerprint, err := keyring.ParseFingerprint(s)
		if err != nil {
			return fmt.Errorf("signers: %w", err)
		}
		p.signers = append(p.signers, fingerprint)
	}
	slices.Sort(p.signers)
	p.signers = slices.Compact(p.signers)
	return p.setThreshold(o.Threshold)
}

// setThreshold wants a number that the options themselves allow. How many keys
// a ring holds today is no mistake of the policy: too few is a rejection.
func (p *plan) setThreshold(threshold *int) error {
	if threshold == nil {
		return nil
	}
	p.threshold = *threshold
	switch n := p.threshold; {
	case n < 1:
		return fmt.Errorf("threshold is %d, at least one signer is needed", n)
	case len(p.signers) > 0 && n > len(p.signers):
		return fmt.Errorf("threshold is %d, signers names %d keys", n, len(p.signers))
	}
	return nil
}

func (p *plan) setKeyTime(keyTime string) error {
	switch keyTime {
	case "", "now":
	case "signing":
		p.atSigning = true
	default:
		return fmt.Errorf("key_time is %q, want now or signing", builtins.Clip(keyTime))
	}
	return nil
}

// trustDigest covers all the material that the options give, and what was fetched.
func (p *plan) trustDigest(fetched ...builtins.Material) string {
	all := slices.Concat(p.keys.materials, p.revoked.materials, fetched)
	if p.repository != nil {
		all = append(all, p.repository.root.materials...)
	}
	return builtins.TrustDigest(all...)
}

// trustFor is whose signatures count for one chart. With repository_keyring
// these are the keys that its repository publishes.
func (p *plan) trustFor(ctx context.Context, artifact builtins.Artifact, rep *builtins.Report) (Trust, error) {
	t := Trust{Keys: p.keys.set, Revoked: p.revoked.set, Signers: p.signers, Threshold: p.threshold, AtSigning: p.atSigning}
	if p.repository == nil {
		return t, nil
	}
	published, err := p.published(ctx, artifact.Info().Repository)
	if rep.Step("repository keyring", err) != nil {
		return Trust{}, err
	}
	t.Keys, rep.Trust = published.set, p.trustDigest(published.materials...)
	return t, nil
}

// published fetches the keyring of a repository and its signature by a root
// key. Without both there are no keys to trust.
func (p *plan) published(ctx context.Context, repositoryURL string) (rings, error) {
	url := p.repository.url
	if url == "" && !strings.HasPrefix(repositoryURL, "http") {
		return rings{}, untrusted("the reference has no repository that could publish its keys")
	}
	if url == "" {
		url = strings.TrimSuffix(repositoryURL, "/") + "/pubkeys.pgp"
	}
	raw, err := p.fetchTrust(ctx, url, p.env.Limits.Trust)
	if err != nil {
		return rings{}, err
	}
	path, query, hasQuery := strings.Cut(url, "?")
	if hasQuery {
		query = "?" + query
	}
	signature, err := p.fetchTrust(ctx, path+".sig"+query, p.env.Limits.Signature)
	if err != nil {
		return rings{}, err
	}
	if err := p.signedByRoot(raw, signature); err != nil {
		return rings{}, err
	}
	var published rings
	if err := published.add(p.env, builtins.InlineMaterial(raw)); err != nil {
		return rings{}, untrusted("the repository's keyring: %w", err)
	}
	return published, nil
}

func (p *plan) fetchTrust(ctx context.Context, url string, limit int64) ([]byte, error) {
	raw, err := p.env.Source.Fetch(ctx, url, limit)
	if builtins.CodeOf(err) == builtins.NotFound {
		return nil, untrusted("the repository publishes no signed keyring: %w", err)
	}
	return raw, err
}

// signedByRoot verifies a detached signature, binary or armored, by the rules
// for provenance files: only its type differs.
func (p *plan) signedByRoot(raw, signature []byte) error {
	if keyring.Armored(signature) {
		kind, body, before, after, err := keyring.Unarmor(signature)
		if err != nil || kind != "SIGNATURE" || len(strings.TrimSpace(string(before)+string(after))) > 0 {
			return builtins.Errorf(builtins.BadSignature, "signature of the repository's keyring is not one armored signature")
		}
		signature = body
	}
	packets, err := splitSignatures(signature, p.env.Limits.ProvenanceSignatures)
	if err != nil {
		return err
	}
	if len(packets) == 0 {
		return untrusted("signature of the repository's keyring is empty")
	}
	detached := signed{raw, packet.SigTypeBinary, packets}
	root := Trust{Keys: p.repository.root.set, Revoked: p.revoked.set, AtSigning: p.atSigning}
	if _, err := detached.signers(root, p.env.Now); err != nil {
		return builtins.Errorf(builtins.CodeOf(err), "repository's keyring: %w", err)
	}
	return nil
}

func untrusted(format string, args ...any) error {
	return builtins.Errorf(builtins.UntrustedSigner, format, args...)
}
