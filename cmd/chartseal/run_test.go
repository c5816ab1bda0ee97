// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/test/forge"
)

// R12: the decision log of a server holds the arguments and results of our
// functions as policies saw them, and nothing of the configuration's secrets.
func TestR12DecisionLogHoldsNoSecret(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"policy.rego": `package p

report := helm.verify_prov_report("https://127.0.0.1:9/web-1.2.3.tgz?token=canary-query", {"keyring": input.keyring})
`,
		"chartseal.yaml": `registries:
- host: 127.0.0.1:9
  credentials: {username: robot, password_file: password}
`,
		"password": "canary-password",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	server := exec.CommandContext(t.Context(), "chartseal", "run", "--server", "--config", "chartseal.yaml",
		"--addr", "unix://"+filepath.Join(dir, "s"), "--set", "decision_logs.console=true",
		"--set", "nd_builtin_cache=true", "--disable-telemetry", "policy.rego")
	server.Dir, server.Stdout, server.Stderr = dir, &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	answer := post(t, filepath.Join(dir, "s"), `{"input": {"keyring": "mock"}}`)
	if !strings.Contains(answer, "holds no key") && !strings.Contains(answer, "keyring") {
		t.Errorf("a keyring that is none gave %s", answer)
	}
	armored := forge.NewKey(forge.KeySpec{UserID: "Web Team <web@example.com>"}).ArmoredPublic()
	answer = post(t, filepath.Join(dir, "s"), `{"input": {"keyring": `+strconv.Quote(armored)+`}}`)
	if err := server.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	server.Wait()
	if !strings.Contains(answer, `"outcome":"undecided"`) {
		t.Errorf("the answer is %s, want an undecided report", answer)
	}
	if strings.Contains(log.String(), "canary-password") || strings.Contains(answer, "canary") {
		t.Errorf("a secret is in the log or the answer:\n%s\n%s", log.String(), answer)
	}
	if !strings.Contains(log.String(), "Decision Log") || !strings.Contains(log.String(), "helm.verify_prov_report") {
		t.Errorf("the log lacks the decision:\n%s", log.String())
	}
}

// post asks the server at a socket for the report, as soon as it is up.
func post(t *testing.T, socket, body string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := client.Post("http://chartseal/v1/data/p/report", "application/json", strings.NewReader(body))
		if err != nil {
			if time.Now().After(until) {
				t.Fatalf("the server does not answer: %v", err)
			}
			continue
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
}
