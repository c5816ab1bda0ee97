// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/config"
	provenance "github.com/chartseal/chartseal/builtins/helm"
	"github.com/chartseal/chartseal/test/registry"
)

// configFile is a configuration that lists these servers.
func configFile(t testing.TB, servers ...*registry.Server) string {
	t.Helper()
	var hosts []string
	for _, s := range servers {
		hosts = append(hosts, s.Host())
	}
	return configHosts(t, hosts...)
}

func configHosts(t testing.TB, hosts ...string) string {
	t.Helper()
	listed := []map[string]any{}
	for _, host := range hosts {
		listed = append(listed, map[string]any{"host": host, "insecure": true})
	}
	content, err := json.Marshal(map[string]any{"registries": listed})
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(folder(t), "chartseal.yaml"), content)
}

// newEnv is the environment that the command line would give a check.
func newEnv(t testing.TB, servers ...*registry.Server) *builtins.Env {
	t.Helper()
	return envOf(t, configFile(t, servers...))
}

func envOf(t testing.TB, configFile string) *builtins.Env {
	t.Helper()
	cfg, err := config.Load(configFile)
	if err != nil {
		t.Fatal(err)
	}
	env, err := cfg.Env(nil)
	if err != nil {
		t.Fatal(err)
	}
	env.Now = time.Now()
	return env
}

// call asks the built-in itself.
func (q question) call(t testing.TB, env *builtins.Env) report {
	t.Helper()
	opts, err := json.Marshal(q.options())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(provenance.VerifyProv.Call(t.Context(), env, chartref.FromValue(q.ref), opts))
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	return r
}
