// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/chartseal/chartseal/policies/template"
	"github.com/chartseal/chartseal/rego"
	"github.com/chartseal/chartseal/test/examples"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

// The scripts run the real main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"chartseal-gator": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "../../test/script/gator", Setup: prepare})
}

// prepare brings the page's files, the templates that are shipped and those of
// others, and a registry that stands where files name registry.example.com.
func prepare(env *testscript.Env) error {
	srv, err := registry.Start()
	if err != nil {
		return err
	}
	env.Defer(srv.Close)
	page := filepath.Join(env.WorkDir, "docs/gator")
	return errors.Join(
		examples.Write("../../docs/gator.md", env.WorkDir),
		tutorial(env.WorkDir),
		os.CopyFS(filepath.Join(page, "policies"), os.DirFS("../../deploy/policies")),
		os.CopyFS(filepath.Join(env.WorkDir, "stock"), os.DirFS("../../test/gator")),
		publish(srv, filepath.Join(page, "trust/keys/platform.pub"), filepath.Join(env.WorkDir, "docs/tutorial/trust/keys/shop-team.pub")),
		replaceHost(env.WorkDir, srv.Host()),
	)
}

// tutorial brings the files of that page, with the template that it has made by
// another command.
func tutorial(dir string) error {
	if err := examples.Write("../../docs/tutorial.md", dir); err != nil {
		return err
	}
	dir = filepath.Join(dir, "docs/tutorial")
	policy, err := template.Read(rego.FS, os.DirFS(filepath.Join(dir, "policies/team_charts")), "team_charts")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "template.yaml"), []byte(policy.Manifest()), 0o644)
}

// publish puts platform/web and shop/web there, which are signed, and
// platform/bare, which is not; the key goes where it is trusted.
func publish(srv *registry.Server, trusted ...string) (err error) {
	key := vsig.WithKey(vsig.SeededKey("platform"))
	for _, repo := range []string{"platform/web", "platform/bare", "shop/web"} {
		name := path.Base(repo)
		digest := srv.PushChart(repo, "1.2.3", forge.Archive(forge.Chart(name, "1.2.3")...), nil)
		if name == "web" {
			payload, annotations := key.Simple(srv.Host()+"/"+repo, digest, nil).Layer()
			srv.PushSignature(repo, digest, payload, annotations)
		}
	}
	for _, file := range trusted {
		err = errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, key.PublicKey(), 0o644))
	}
	return err
}

// replaceHost names the registry as it can be reached, in the files of the page
// and of the script. It has no certificate.
func replaceHost(dir, host string) error {
	hosts := strings.NewReplacer("- host: registry.example.com", "- host: "+host+"\n  insecure: true", "registry.example.com", host)
	for _, pattern := range []string{"*.yaml", "docs/gator/*.yaml", "docs/tutorial/*.yaml", "docs/tutorial/manifests/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(file, []byte(hosts.Replace(string(raw))), 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
