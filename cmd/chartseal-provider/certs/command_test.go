// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/cmd/chartseal-provider/certs"
)

// run is `chartseal-provider certs` with arguments.
func run(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := certs.Command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestOut(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	dir := filepath.Join(t.TempDir(), "tls")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tls.key"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		printed, err := run(t, "--out", dir, "--namespace", "chartseal")
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(printed, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		data := map[string][]byte{"ca.crt": nil, "tls.crt": nil, "tls.key": nil}
		for name := range data {
			if data[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(bundle, data["ca.crt"]) {
			t.Error("the caBundle is not ca.crt")
		}
		for _, host := range []string{"localhost", "127.0.0.1", "::1", names[0], names[1]} {
			if err := handshake(t, data, bundle, host, time.Now()); err != nil {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	want := map[string]fs.FileMode{"ca.crt": 0o644, "tls.crt": 0o644, "tls.key": 0o600}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || want[entry.Name()] != info.Mode() {
			t.Errorf("%s is of mode %v, want %v", entry.Name(), info.Mode(), want[entry.Name()])
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%d files, want %d: %v", len(entries), len(want), entries)
	}
}

func TestUsage(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	tests := []struct {
		args string
		want string
	}{
		{"", "--namespace is missing, and POD_NAMESPACE is not set"},
		{"--namespace a --lifetime 1m", "takes an hour"},
		{"--namespace a --interval 1ms", "shorter than a second"},
		{"--namespace a --service b_c", `"b_c.a" is neither a host name`},
		{"--namespace a --create-url https://chartseal-provider.a/", "needs the names of Providers"},
		{"--namespace a --provider c --create-url http://chartseal-provider.a/", "is not an https URL"},
		{"--namespace a --provider c --create-url https://elsewhere/", "is not an https URL"},
		{"--namespace a --provider c --create-url https://chartseal-provider.a/ --create-timeout 0", "would never call"},
		{"--out x --once", "works without a cluster"},
		{"--out x --provider c", "works without a cluster"},
		{"--namespace a --kubeconfig missing", "missing: no such file"},
		{"--namespace a extra", "unknown command"},
	}
	for _, test := range tests {
		if _, err := run(t, strings.Fields(test.args)...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("certs %s: %v, want %q", test.args, err, test.want)
		}
	}
}
