// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/provenance"

	"github.com/chartseal/chartseal/test/vsig"
)

// A release is a chart that samples name, in a registry and in a repository.
// It is signed by the platform team, with both of its keys, or by nobody.
type release struct {
	repo, version string
	signed        bool
}

var releases = []release{
	{"platform/web", "1.2.3", true},
	{"platform/unsigned", "1.2.3", false},
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
	for _, r := range releases {
		archive, prov := r.pack(w.t, team)
		manifest := w.srv.PushChart(r.repo, r.version, archive, prov)
		w.srv.AddChart(path.Dir(r.repo), archive, prov)
		if r.signed {
			payload, annotations := key.Simple(registryHost+"/"+r.repo, manifest, nil).Layer()
			w.srv.PushSignature(r.repo, manifest, payload, annotations)
		}
	}
}

// pack makes the archive as Helm does, and its provenance.
func (r release) pack(t testing.TB, signer *openpgp.Entity) (archive, prov []byte) {
	t.Helper()
	file, err := chartutil.Save(&chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: path.Base(r.repo), Version: r.version, Type: "application"},
		Templates: []*chart.File{{Name: "templates/configmap.yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n")}},
	}, t.TempDir())
	succeeds(t, err)
	archive, err = os.ReadFile(file)
	succeeds(t, err)
	if !r.signed {
		return archive, nil
	}
	text, err := (&provenance.Signatory{Entity: signer}).ClearSign(file)
	succeeds(t, err)
	return archive, []byte(text)
}
