// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// A plan is options that are understood, with the trust that they name.
type plan struct {
	env       *builtins.Env
	policy    *Policy
	trust     string // digest of all material
	threshold int
	elsewhere chartref.Ref // the zero Ref is the chart's own repository
	bundle    string       // "" is beside the archive
	chart     builtins.Expected
}

func (o VerifyOptions) plan(env *builtins.Env) (*plan, error) {
	p := &plan{env: env, threshold: 1, chart: o.Chart}
	keys, materials, err := o.keys(env)
	if err != nil {
		return nil, err
	}
	trusted, material, err := o.root(env)
	if err != nil {
		return nil, err
	}
	if p.policy, err = NewPolicy(o, keys, trusted, env.Limits); err != nil {
		return nil, err
	}
	p.trust = builtins.TrustDigest(append(materials, material...)...)
	return p, errors.Join(p.setThreshold(o.Threshold), p.setElsewhere(o.SignatureRepository), p.setBundle(o.Bundle), o.Chart.Check())
}

// keys are all keys that the options name. One key under two names is one.
func (o VerifyOptions) keys(env *builtins.Env) (keys []*PublicKey, materials []builtins.Material, err error) {
	for _, name := range o.PublicKeys {
		if scheme := keyScheme(name); scheme != "" {
			return nil, nil, fmt.Errorf("public_keys: %w", elsewhere(scheme))
		}
		material, err := env.Trust.PublicKey(name)
		if err != nil {
			return nil, nil, fmt.Errorf("public_keys: %w", err)
		}
		materials = append(materials, material)
	}
	if o.PublicKey != nil {
		material, err := env.Inline([]byte(*o.PublicKey))
		if err != nil {
			return nil, nil, fmt.Errorf("public_key: %w", err)
		}
		materials = append(materials, material)
	}
	seen := map[string]bool{}
	for _, material := range materials {
		key, err := parseKeyOnce(env, material)
		if err != nil {
			return nil, nil, err
		}
		if !seen[key.Fingerprint] {
			keys, seen[key.Fingerprint] = append(keys, key), true
		}
	}
	return keys, materials, nil
}

func parseKeyOnce(env *builtins.Env, material builtins.Material) (*PublicKey, error) {
	key, err := builtins.Remember(env, "cosign/key", material.Digest, func(PublicKey) int64 { return int64(2 * len(material.Raw)) }, func() (PublicKey, error) {
		key, err := ParsePublicKey(material.Raw)
		if err != nil {
			return PublicKey{}, err
		}
		return *key, nil
	})
	if err != nil {
		return nil, fmt.Errorf("public key %s: %w", orElse(material.Name, "(inline)"), err)
	}
	key.Name = material.Name
	return &key, nil
}

func (o VerifyOptions) root(env *builtins.Env) (root.TrustedMaterial, []builtins.Material, error) {
	if o.TrustedRoot == nil {
		return nil, nil, nil
	}
	find := env.Trust.TrustedRoot
	if strings.HasPrefix(strings.TrimSpace(*o.TrustedRoot), "{") {
		find = func(text string) (builtins.Material, error) { return env.Inline([]byte(text)) }
	}
	material, err := find(*o.TrustedRoot)
	if err != nil {
		return nil, nil, fmt.Errorf("trusted_root: %w", err)
	}
	// Parsed it takes about as much as it has bytes, once more per certificate.
	trusted, err := builtins.Remember(env, "cosign/root", material.Digest, func(root.TrustedMaterial) int64 { return int64(4 * len(material.Raw)) }, func() (root.TrustedMaterial, error) {
		return root.NewTrustedRootFromJSON(material.Raw)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("trusted root %s: %w", orElse(material.Name, "(inline)"), err)
	}
	return trusted, []builtins.Material{material}, nil
}

func (p *plan) setThreshold(n *int) error {
	if n == nil {
		return nil
	}
	p.threshold = *n
	if *n < 1 {
		return fmt.Errorf("threshold is %d, want at least 1", *n)
	}
	if keys := len(p.policy.keys); keys > 0 && *n > keys {
		return fmt.Errorf("threshold is %d, and only %d different keys are trusted", *n, keys)
	}
	return nil
}

func (p *plan) setElsewhere(repository *string) error {
	if repository == nil {
		return nil
	}
	// A reference names one manifest; with any digest added, what is left is
	// the repository.
	p.elsewhere = chartref.Parse(*repository + "@sha256:" + strings.Repeat("0", 64))
	if p.elsewhere.Err() != nil || p.elsewhere.Kind != chartref.OCI || p.elsewhere.Tag != "" {
		return fmt.Errorf("signature_repository is %q, want oci://host/path without tag and digest", builtins.Clip(*repository))
	}
	return nil
}

func (p *plan) setBundle(where *string) error {
	if where == nil {
		return nil
	}
	p.bundle = *where
	if *where == "" {
		return errors.New("bundle is empty, want a path, a URL or the text of a bundle")
	}
	return nil
}
