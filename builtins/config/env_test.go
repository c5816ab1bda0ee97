// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/source"
)

func TestSourceSeesTheRegistries(t *testing.T) {
	t.Parallel()
	from := load(t, full).SourceConfig()
	for host, want := range map[string]source.Registry{
		"charts.example.com": {Username: "robot", Password: secret},
		"127.0.0.1:5000":     {Insecure: true},
		"a.example.org":      {},
	} {
		if got, listed := from.Registries(host); !listed || got != want {
			t.Errorf("%s: got %v %v", host, got, listed)
		}
	}
	if got, listed := from.Registries("other.example.com"); listed || got != (source.Registry{}) {
		t.Errorf("an unlisted host is %+v %v", got, listed)
	}
	if from.OnlyListed || from.LocalPaths {
		t.Errorf("got %v %v, want neither said", from.OnlyListed, from.LocalPaths)
	}
}

func TestEnv(t *testing.T) {
	t.Parallel()
	env, err := config.Default().Env(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.Trust.Keyring("web"); builtins.CodeOf(err) != builtins.InvalidOptions {
		t.Errorf("without a trust directory, a keyring is %v", err)
	}
	if _, err := env.Source.Resolve(t.Context(), chartref.Parse(filepath.Join(t.TempDir(), "gone.tgz"))); builtins.CodeOf(err) != builtins.NotFound {
		t.Errorf("an absent local file is %v", err)
	}
	if env.Facts == nil || env.Limits != builtins.DefaultLimits() {
		t.Errorf("got facts %v, limits %+v", env.Facts, env.Limits)
	}
}

func TestEnvRefusesBadTrust(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		"trust: {directory: gone}": "gone",
		"trust: {directory: .}":    "none of keyrings, keys and roots",
	} {
		if _, err := load(t, text).Env(nil); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want %q", text, err, reason)
		}
	}
}
