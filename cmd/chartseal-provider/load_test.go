// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

const sharing = `
server: {health: "", tls: {cert_file: tls.crt, key_file: tls.key}, clients: {unauthenticated: true}}
cache: {redis: {address: "127.0.0.1:1", tls: false}}
limits: {host_requests: 8}
`

// A configuration that is refused, which is tried again and again, leaves
// nothing running; one that is taken has what it names.
func TestRefusedConfigurationLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	path := filepath.Join(t.TempDir(), "chartseal.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	write(sharing)
	good, err := load(path, nil, log, nil)
	if err != nil || good.shared == nil {
		t.Fatal(good, err)
	}
	write(strings.Replace(sharing, "host_requests: 8", "host_requests: 0", 1))
	for range 3 {
		if _, err := load(path, good, log, nil); err == nil || !strings.Contains(err.Error(), "host_requests") {
			t.Fatal(err)
		}
	}
	good.close(&loaded{})
}
