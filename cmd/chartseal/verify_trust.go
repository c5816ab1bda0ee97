// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/builtins"
)

// TrustFlags say who may have signed, as helm and cosign name it.
type trustFlags struct {
	keyring, key, root       string
	identity, identityRegexp string
	issuer, issuerRegexp     string
}

func (f *trustFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.keyring, "keyring", "", "keyring with the keys that may have signed provenance: a file, or a name in the trust directory")
	flags.StringVar(&f.key, "key", "", "public key that may have signed with cosign: a file, or a name in the trust directory")
	flags.StringVar(&f.identity, "certificate-identity", "", "identity that may have signed with cosign without a key")
	flags.StringVar(&f.identityRegexp, "certificate-identity-regexp", "", "or a regular expression for the whole identity")
	flags.StringVar(&f.issuer, "certificate-oidc-issuer", "", "issuer of the identity")
	flags.StringVar(&f.issuerRegexp, "certificate-oidc-issuer-regexp", "", "or a regular expression for the whole issuer")
	flags.StringVar(&f.root, "trusted-root", "", "trusted root of the sigstore instance: a file, or a name in the trust directory")
}

// provenance gives the options of helm.verify_prov; none without a keyring.
func (f trustFlags) provenance(env *builtins.Env) (map[string]any, error) {
	switch {
	case f.keyring == "":
		return nil, nil
	case isName(f.keyring):
		return map[string]any{"keyrings": []string{f.keyring}}, nil
	}
	raw, err := readTrust("keyring", f.keyring, env)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(strings.TrimSpace(string(raw)), "-----BEGIN ") {
		return map[string]any{"keyring": string(raw)}, nil
	}
	return map[string]any{"keyring": base64.StdEncoding.EncodeToString(raw)}, nil
}

// signatures gives the options of cosign.verify; none without a signer. With
// both a key and a trusted root the log must have the signature, as cosign
// demands it.
func (f trustFlags) signatures(env *builtins.Env) (map[string]any, error) {
	opts := map[string]any{}
	keyless := f.identity+f.identityRegexp+f.issuer+f.issuerRegexp != ""
	switch {
	case f.key == "" && !keyless && f.root == "":
		return nil, nil
	case f.key == "" && !keyless:
		return nil, usage("--trusted-root says whose word counts, not who may have signed: give --key, or --certificate-identity with --certificate-oidc-issuer")
	case keyless && f.root == "":
		return nil, usage("identities need --trusted-root: a trusted_root.json, or the name of one in the trust directory")
	case keyless:
		opts["identities"] = []any{f.identities()}
	}
	if f.key != "" && f.root != "" {
		opts["transparency_log"] = "required"
	}
	return opts, firstOf(f.addKey(env, opts), f.addRoot(env, opts))
}

func (f trustFlags) identities() map[string]string {
	given := map[string]string{"subject": f.identity, "subject_regexp": f.identityRegexp, "issuer": f.issuer, "issuer_regexp": f.issuerRegexp}
	for field, value := range given {
		if value == "" {
			delete(given, field)
		}
	}
	return given
}

func (f trustFlags) addKey(env *builtins.Env, opts map[string]any) error {
	return add(env, opts, "key", f.key, "public_key", func(name string) { opts["public_keys"] = []string{name} })
}

func (f trustFlags) addRoot(env *builtins.Env, opts map[string]any) error {
	return add(env, opts, "trusted-root", f.root, "trusted_root", func(name string) { opts["trusted_root"] = name })
}

// add gives an option the text of a file, or the name that was given.
func add(env *builtins.Env, opts map[string]any, flag, value, inline string, named func(string)) error {
	switch {
	case value == "":
		return nil
	case strings.Contains(value, "://"):
		return usage("--%s %s is neither a file nor a name: export the key to a file once, nothing else is asked while verifying", flag, value)
	case isName(value):
		named(value)
		return nil
	}
	raw, err := readTrust(flag, value, env)
	opts[inline] = string(raw)
	return err
}

// isName tells names in the trust directory from files by how they are
// written, never by what lies in the working directory: who can put a file
// there would choose whom we trust.
func isName(value string) bool { return !strings.ContainsAny(value, `./\`) }

func readTrust(flag, path string, env *builtins.Env) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, usage("--%s: %v", flag, err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, env.Limits.Trust+1))
	switch {
	case err != nil:
		return nil, usage("--%s: %v", flag, err)
	case int64(len(raw)) > env.Limits.Trust:
		return nil, usage("--%s: %s has more than %d bytes", flag, path, env.Limits.Trust)
	}
	return raw, nil
}

// explain adds to what is wrong with a name that there is a file of that name.
func (f trustFlags) explain(reason string) string {
	for _, value := range []string{f.keyring, f.key, f.root} {
		if value == "" || !isName(value) {
			continue
		}
		if _, err := os.Stat(value); err == nil {
			return fmt.Sprintf("%s; if the file %s is meant, write ./%s", reason, value, value)
		}
	}
	return reason
}
