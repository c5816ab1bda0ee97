// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ProtonMail/go-crypto/openpgp"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/provenance"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/registry"
)

// A scene is one manifest and the chart behind it.
type scene struct {
	name  string
	story string
	want  builtins.Code

	file    string // the archive, in the scene's own folder
	version string // that the manifest asks for
	prov    []byte // nil if unsigned
	folder  string // of the registry; "" is served by the repository
	digest  string // in the registry
	down    bool   // the server answers 503

	vendored *vendored              // what lies in its charts/; nil for nothing
	attach   func(*sigstore, shelf) // signs what is in the registry
}

// makeScenes packages and signs the charts and then does to them what happens
// in the world.
func makeScenes(dir string, k keys) ([]*scene, error) {
	plots := []struct {
		scene
		signer *openpgp.Entity
		happen func(*scene) error
	}{
		{scene: scene{name: "signed", want: builtins.OK, story: "signed by the web team"}, signer: k.team},
		{scene: scene{name: "signed-oci", want: builtins.OK, story: "the same, in an OCI registry", folder: "charts"}, signer: k.team},
		{scene: scene{name: "tampered", want: builtins.DigestMismatch, story: "one byte changed after signing"}, signer: k.team, happen: flipByte},
		{scene: scene{name: "unknown-signer", want: builtins.UntrustedSigner, story: "signed by a stranger under the team's name"}, signer: k.stranger},
		{scene: scene{name: "revoked", want: builtins.KeyRevoked, story: "signed with the key that was stolen"}, signer: k.stolen},
		{scene: scene{name: "replayed", want: builtins.VersionMismatch, story: "the old 1.2.3 served as 2.0.0"}, signer: k.team, happen: serveAsNew},
		{scene: scene{name: "unsigned", want: builtins.NoProvenance, story: "never signed"}},
		{scene: scene{name: "dependency", want: builtins.OK, story: "signed, with a dependency that is as pinned", vendored: &vendored{tampered: false}}, signer: k.team},
		{scene: scene{name: "dependency-tampered", want: builtins.DependencyTampered, story: "signed, but its dependency was altered before", vendored: &vendored{tampered: true}}, signer: k.team},
		{scene: scene{name: "key", want: builtins.OK, story: "signed by cosign with the release key", folder: "release", attach: (*sigstore).withKey}},
		{scene: scene{name: "keyless", want: builtins.OK, story: "signed by the release pipeline, without a key", folder: "pipeline", attach: (*sigstore).byPipeline}},
		{scene: scene{name: "oci-unsigned", want: builtins.NoSignature, story: "pushed to the registry and never signed", folder: "release"}},
		{scene: scene{name: "wrong-identity", want: builtins.IdentityMismatch, story: "signed by the pipeline of a fork", folder: "pipeline", attach: (*sigstore).byFork}},
		{scene: scene{name: "copied", want: builtins.PayloadMismatch, story: "the signature was made for another chart", folder: "release", attach: (*sigstore).copied}},
		{scene: scene{name: "outage", want: builtins.Unavailable, story: "the repository answers 503", down: true}, signer: k.team},
	}
	var scenes []*scene
	for _, p := range plots {
		s := &p.scene
		if err := s.pack(filepath.Join(dir, s.name), p.signer); err != nil {
			return nil, fmt.Errorf("packaging %s: %w", s.name, err)
		}
		if p.happen != nil {
			if err := p.happen(s); err != nil {
				return nil, err
			}
		}
		scenes = append(scenes, s)
	}
	return scenes, nil
}

func newChart(name, version, description string) *chart.Chart {
	return &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: name, Version: version, Description: description, Type: "application"},
		Templates: []*chart.File{{Name: "templates/configmap.yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n")}},
	}
}

// pack makes web-1.2.3.tgz with Helm's packager and signs it with Helm's signer.
func (s *scene) pack(dir string, signer *openpgp.Entity) (err error) {
	s.version = "1.2.3"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	web := newChart("web", s.version, "A web server, "+s.story)
	if s.vendored != nil {
		if web, err = s.vendored.in(web, dir); err != nil {
			return err
		}
	}
	if s.file, err = chartutil.Save(web, dir); err != nil || signer == nil {
		return err
	}
	text, err := (&provenance.Signatory{Entity: signer}).ClearSign(s.file)
	if err != nil {
		return err
	}
	s.prov = []byte(text)
	return os.WriteFile(s.file+".prov", s.prov, 0o644)
}

func flipByte(s *scene) error {
	archive, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	archive[len(archive)/2] ^= 1
	return os.WriteFile(s.file, archive, 0o644)
}

// serveAsNew gives the signed old chart the name of a new one.
func serveAsNew(s *scene) error {
	s.version = "2.0.0"
	renamed := filepath.Join(filepath.Dir(s.file), "web-2.0.0.tgz")
	if err := os.Rename(s.file+".prov", renamed+".prov"); err != nil {
		return err
	}
	if err := os.Rename(s.file, renamed); err != nil {
		return err
	}
	s.file = renamed
	return nil
}

// publish serves the chart and writes the manifest that asks for it.
func (s *scene) publish(srv *registry.Server, signers *sigstore, dir string) error {
	archive, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	if s.down {
		srv.Rule(registry.Rule{Path: "/" + s.name + "/*", Status: 503})
	}
	spec := fmt.Sprintf("repo: %s/%s\n  chart: web", srv.URL(), s.name)
	if s.folder != "" {
		repo := s.name + "/" + s.folder + "/web"
		s.digest = srv.PushChart(repo, s.version, archive, s.prov)
		if s.attach != nil {
			s.attach(signers, shelf{srv, repo, s.digest})
		}
		spec = fmt.Sprintf("chart: oci://%s/%s", srv.Host(), repo)
	} else {
		s.serve(srv, archive)
	}
	manifest := fmt.Sprintf("# %s\napiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata:\n  name: %s\nspec:\n  %s\n  version: %s\n", s.story, s.name, spec, s.version)
	return write(s.manifest(dir), []byte(manifest))
}

func (s *scene) manifest(dir string) string { return filepath.Join(dir, "manifests", s.name+".yaml") }

// serve puts the chart into a repository of the scene's own. The repository's
// owner writes the index, so the index always agrees with the bytes.
func (s *scene) serve(srv *registry.Server, archive []byte) {
	base := filepath.Base(s.file)
	srv.AddFile(s.name+"/"+base, archive)
	if s.prov != nil {
		srv.AddFile(s.name+"/"+base+".prov", s.prov)
	}
	srv.EditIndex(s.name, func(index *registry.Index) {
		index.APIVersion = "v1"
		index.Entries = map[string][]*registry.Entry{"web": {{
			Metadata: &chart.Metadata{APIVersion: "v2", Name: "web", Version: s.version},
			URLs:     []string{base},
			Digest:   sum(archive),
		}}}
	})
}
