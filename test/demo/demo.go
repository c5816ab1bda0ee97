// SPDX-License-Identifier: Apache-2.0

// Package demo shows chartseal at work without a network: it makes keys and a
// sigstore of its own, packages charts with Helm's code, signs them, serves
// them on loopback, and lets the chartseal command judge manifests that name them.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/chartseal/chartseal/test/registry"
)

// Run leaves everything in dir, prints a table of verdicts of the command
// chartseal, and fails if one of them is not what its story says. With serve,
// repository and registry stay up until interrupted.
func Run(w io.Writer, chartseal, dir string, serve bool) error {
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := empty(dir); err != nil {
		return err
	}
	srv, err := registry.Start()
	if err != nil {
		return err
	}
	defer srv.Close()

	keys, err := makeKeys()
	if err != nil {
		return err
	}
	signers := newSigstore()
	if err := writeTrust(dir, srv.Host(), keys, signers); err != nil {
		return err
	}
	scenes, err := makeScenes(filepath.Join(dir, "charts"), keys)
	if err != nil {
		return err
	}
	if err := signers.beside(scenes[0].file); err != nil {
		return err
	}
	if err := handy(dir); err != nil {
		return err
	}
	for _, s := range scenes {
		if err := s.publish(srv, signers, dir); err != nil {
			return fmt.Errorf("publishing %s: %w", s.name, err)
		}
	}
	if err := judgeAll(w, chartseal, dir, scenes); err != nil {
		return err
	}
	key := slices.IndexFunc(scenes, func(s *scene) bool { return s.name == "key" })
	if err := judgeInstallers(w, chartseal, dir, srv.Host(), scenes[key].digest); err != nil {
		return err
	}
	farewell(w, chartseal, dir)
	if serve {
		invite(w, srv, chartseal, dir)
		<-interrupted.Done()
	}
	return nil
}

// empty makes dir a new folder. What is there is removed only if an earlier
// demo left it.
func empty(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(dir, 0o755)
	}
	if _, err := os.Stat(filepath.Join(dir, configFile)); err != nil {
		return fmt.Errorf("folder %s exists and is not an earlier demo's", dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}

// handy lays what newcomers try first where it is typed with ease.
func handy(dir string) error {
	for from, to := range map[string]string{"charts/signed": ".", "charts/tampered": "tampered"} {
		for _, name := range []string{"web-1.2.3.tgz", "web-1.2.3.tgz.prov"} {
			raw, err := os.ReadFile(filepath.Join(dir, from, name))
			if err != nil {
				return err
			}
			if err := write(filepath.Join(dir, to, name), raw); err != nil {
				return err
			}
		}
	}
	return nil
}

func farewell(w io.Writer, chartseal, dir string) {
	config := filepath.Join(dir, configFile)
	ring, signed, tampered := filepath.Join(dir, "pub.gpg"), filepath.Join(dir, "charts", "signed", "web-1.2.3.tgz"), filepath.Join(dir, "charts", "tampered", "web-1.2.3.tgz")
	fmt.Fprintf(w, "\nEverything is in %s. Ask yourself:\n\n", dir)
	fmt.Fprintf(w, "  %s verify --keyring %s %s %s\n", chartseal, ring, filepath.Join(dir, "web-1.2.3.tgz"), filepath.Join(dir, "tampered", "web-1.2.3.tgz"))
	fmt.Fprintf(w, "  %s eval --config %s -f raw 'helm.verify_prov(\"%s\", {\"keyrings\": [\"web-team\"]})'\n", chartseal, config, signed)
	fmt.Fprintf(w, "  %s eval --config %s -f pretty 'helm.verify_prov_report(\"%s\", {\"keyrings\": [\"web-team\"]})'\n", chartseal, config, tampered)
	fmt.Fprintf(w, "  %s lock check --config %s --recursive %s\n", chartseal, config, filepath.Join(dir, "charts"))
	fmt.Fprintf(w, "  %s eval --config %s -f raw 'cosign.verify(\"%s\", {\"public_keys\": [\"release\"]})'\n", chartseal, config, signed)
	fmt.Fprintf(w, "  %s test %s\n", chartseal, filepath.Join(dir, "policy"))
	fmt.Fprintf(w, "  %s trust list --config %s\n", chartseal, config)
}

// invite says what can be asked as long as the servers are up.
func invite(w io.Writer, srv *registry.Server, chartseal, dir string) {
	config := filepath.Join(dir, configFile)
	fmt.Fprintf(w, "\nRepository and registry stay up until interrupted:\n\n  repository %s/signed\n  registry   oci://%s/key/release/web\n\n", srv.URL(), srv.Host())
	fmt.Fprintf(w, "  %s eval --config %s -d %s -i %s -f pretty data.demo.deny\n", chartseal, config, filepath.Join(dir, "policy"), filepath.Join(dir, "manifests", "tampered.yaml"))
	fmt.Fprintf(w, "  %s eval --config %s -f pretty 'cosign.verify_report(\"oci://%s/key/release/web:1.2.3\", {\"public_keys\": [\"release\"]})'\n", chartseal, config, srv.Host())
}
