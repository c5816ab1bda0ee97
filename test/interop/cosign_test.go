// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/test/registry"
)

// TestFixtureTakesSignatures lets both real cosigns sign a chart in the fake
// registry and verify it there: as the signature tag, as a referrer, and as
// the fallback tag where there is no referrers API.
func TestFixtureTakesSignatures(t *testing.T) {
	v2, v3 := tool(t, "cosign2"), tool(t, "cosign3")
	s := byEd25519(t, helms(t)[0])[0]
	dir := folder(t)
	command{dir: dir, path: v2, env: noPassword, args: []string{"generate-key-pair"}}.must(t)
	offline := []string{"--key", filepath.Join(dir, "cosign.key"), "--tlog-upload=false", "-y"}
	bundle := append([]string{"sign", "--use-signing-config=false"}, offline...)
	for _, test := range []struct {
		name   string
		cosign string
		sign   []string
		opts   []registry.Option
		tag    string // where the signature is, for a digest in hex; "" is among the referrers
	}{
		{"v2, signature tag", v2, append([]string{"sign"}, offline...), nil, "sha256-%.sig"},
		{"v3, referrer", v3, bundle, nil, ""},
		{"v3, fallback tag", v3, bundle, []registry.Option{registry.WithoutReferrers()}, "sha256-%"},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := registry.New(t, test.opts...)
			digest := srv.PushChart("charts/"+s.source.name, s.version, s.archive, s.prov)
			ref := srv.Host() + "/charts/" + s.source.name + "@" + digest
			command{dir: dir, path: test.cosign, env: noPassword, args: append(test.sign, ref)}.must(t)
			verify := []string{"verify", "--key", filepath.Join(dir, "cosign.pub"), "--insecure-ignore-tlog", ref}
			command{dir: dir, path: test.cosign, env: noPassword, args: verify}.must(t)
			tag := strings.Replace(test.tag, "%", strings.TrimPrefix(digest, "sha256:"), 1)
			if got := srv.Manifest("charts/"+s.source.name, tag) != nil; got != (tag != "") {
				t.Errorf("tag %q has a manifest: %v", tag, got)
			}
			if tag == "" && srv.Count(http.MethodGet, "/v2/*/referrers/"+digest) == 0 {
				t.Error("cosign did not ask for referrers")
			}
		})
	}
}

// noPassword lets cosign use keys without one.
var noPassword = []string{"COSIGN_PASSWORD="}
