// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/provenance"

	lock "github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/test/vsig"
)

// A release is a chart that samples name, in a registry and in a repository.
// It is signed by the platform team, with both of its keys, or by nobody.
type release struct {
	repo, version string
	signed        bool
	needs         string // what it depends on, of the same folder
	written       string // the digest that samples write for it
}

var releases = []release{
	{repo: "platform/web", version: "1.2.3", signed: true, written: "sha256:" + strings.Repeat("1", 64)},
	{repo: "platform/unsigned", version: "1.2.3"},
	{repo: "other/unsigned", version: "1.2.3"},
	{repo: "platform/twice", version: "1.2.3", signed: true},
	{repo: "platform/base", version: "1.0.0", signed: true},
	{repo: "platform/app", version: "2.0.0", signed: true, needs: "base"},
}

// publish makes the charts and the trust in who signed them.
func (w *world) publish(trust string) {
	w.t.Helper()
	key := vsig.WithKey(vsig.SeededKey("platform"))
	team, err := openpgp.NewEntity("Platform", "", "platform@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	succeeds(w.t, err)
	var ring bytes.Buffer
	succeeds(w.t, team.Serialize(&ring))
	write(w.t, filepath.Join(trust, "keyrings/platform.gpg"), ring.Bytes())
	write(w.t, filepath.Join(trust, "keys/platform.pub"), key.PublicKey())
	packed := map[string]string{}
	for _, r := range releases {
		file := r.pack(w.t, packed[r.needs])
		packed[path.Base(r.repo)] = file
		archive, prov := r.sign(w.t, file, team)
		manifest := w.srv.PushChart(r.repo, r.version, archive, prov)
		w.srv.AddChart(path.Dir(r.repo), archive, prov)
		if r.signed {
			payload, annotations := key.Simple(registryHost+"/"+r.repo, manifest, nil).Layer()
			w.srv.PushSignature(r.repo, manifest, payload, annotations)
		}
		if r.written != "" {
			w.digests[r.written] = manifest
		}
	}
}

// pack makes the archive as Helm does, with what it needs.
func (r release) pack(t testing.TB, needed string) (file string) {
	t.Helper()
	packed := &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: path.Base(r.repo), Version: r.version, Type: "application"},
		Templates: []*chart.File{{Name: "templates/configmap.yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n")}},
	}
	if needed != "" {
		dependency, err := loader.LoadFile(needed)
		succeeds(t, err)
		packed.AddDependency(dependency)
		packed.Metadata.Dependencies = []*chart.Dependency{{
			Name: dependency.Name(), Version: dependency.Metadata.Version, Repository: "oci://" + registryHost + "/" + path.Dir(r.repo),
		}}
		packed.Lock = &chart.Lock{Dependencies: packed.Metadata.Dependencies, Digest: lock.HashReq(packed.Metadata.Dependencies, packed.Metadata.Dependencies)}
	}
	file, err := chartutil.Save(packed, t.TempDir())
	succeeds(t, err)
	return file
}

// sign gives the archive and, if it is signed, its provenance.
func (r release) sign(t testing.TB, file string, signer *openpgp.Entity) (archive, prov []byte) {
	t.Helper()
	archive, err := os.ReadFile(file)
	succeeds(t, err)
	if !r.signed {
		return archive, nil
	}
	text, err := (&provenance.Signatory{Entity: signer}).ClearSign(file)
	succeeds(t, err)
	return archive, []byte(text)
}
