// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

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
		os.CopyFS(filepath.Join(page, "policies"), os.DirFS("../../deploy/policies")),
		os.CopyFS(filepath.Join(env.WorkDir, "stock"), os.DirFS("../../test/gator")),
		publish(srv, filepath.Join(page, "trust/keys")),
		replaceHost(env.WorkDir, srv.Host()),
	)
}

// publish puts platform/web there, which is signed, and platform/bare, which
// is not.
func publish(srv *registry.Server, keys string) error {
	key := vsig.WithKey(vsig.SeededKey("platform"))
	for _, name := range []string{"web", "bare"} {
		repo := "platform/" + name
		digest := srv.PushChart(repo, "1.2.3", forge.Archive(forge.Chart(name, "1.2.3")...), nil)
		if name == "web" {
			payload, annotations := key.Simple(srv.Host()+"/"+repo, digest, nil).Layer()
			srv.PushSignature(repo, digest, payload, annotations)
		}
	}
	return errors.Join(os.MkdirAll(keys, 0o755), os.WriteFile(filepath.Join(keys, "platform.pub"), key.PublicKey(), 0o644))
}

// replaceHost names the registry as it can be reached, in the files of the page
// and of the script. It has no certificate.
func replaceHost(dir, host string) error {
	hosts := strings.NewReplacer("- host: registry.example.com", "- host: "+host+"\n  insecure: true", "registry.example.com", host)
	for _, pattern := range []string{"*.yaml", "docs/gator/*.yaml"} {
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
