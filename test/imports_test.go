// SPDX-License-Identifier: Apache-2.0

package test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/chartseal/chartseal/"

// Who may import whom, of our own packages, tests aside. A package that is
// not listed may be imported by nobody and import nothing.
var mayImport = map[string][]string{
	"builtins/chartref": {},
	"builtins":          {"builtins/chartref"},
	"builtins/keyring":  {},
	"builtins/archive":  {"builtins"},
	"builtins/helm":     {"builtins", "builtins/chartref", "builtins/archive", "builtins/keyring"},
	"builtins/cosign":   {"builtins", "builtins/chartref", "builtins/archive"},
	"builtins/source":   {"builtins", "builtins/chartref"},
	"builtins/trust":    {"builtins", "builtins/keyring"},
	"builtins/chart":    {"builtins", "builtins/chartref", "builtins/archive", "builtins/helm", "builtins/cosign"},
	// For the provider alone.
	"builtins/source/shared": {"builtins"},
	// Both are for commands, and no check may reach them.
	"builtins/trust/inventory": {"builtins", "builtins/cosign", "builtins/keyring", "builtins/trust"},
	"builtins/trust/tuf":       {"builtins", "builtins/trust"},
	"builtins/config":          {"builtins", "builtins/chartref", "builtins/source", "builtins/trust"},
	"builtins/all":             {"builtins", "builtins/chart", "builtins/cosign", "builtins/helm"},
	"builtins/opa":             {"builtins", "builtins/chartref"},
	"provider":                 {"builtins", "builtins/chartref"},
	// What installs them.
	"deploy/image":              {},
	"deploy/kustomize":          {},
	"deploy/kustomize/generate": {},
	"deploy/webhook":            {},
	"deploy/webhook/generate":   {"policies", "rego"},
	// Text alone.
	"rego":                 {},
	"policies":             {"rego"},
	"cmd/chartseal/start":  {},
	"cmd/chartseal/lint":   {},
	"cmd/chartseal/review": {"builtins", "policies", "policies/template", "rego"},
	// What talks to Kubernetes is a package of its own, which nothing that judges may reach.
	"cmd/chartseal-provider/certs": {},
	"cmd/chartseal-provider":       {"builtins", "builtins/all", "builtins/config", "builtins/source", "builtins/source/shared", "builtins/trust", "builtins/trust/inventory", "cmd/chartseal-provider/certs", "provider"},
	"policies/template":            {},
	"policies/generate":            {"policies/template"},
	"cmd/chartseal-gator/external": {"builtins", "builtins/all", "builtins/config", "builtins/source", "builtins/trust", "provider"},
	"cmd/chartseal-gator":          {"builtins/config", "cmd/chartseal-gator/external", "cmd/chartseal/start"},
	"cmd/chartseal":                {"policies/template", "rego", "cmd/chartseal/lint", "cmd/chartseal/review", "cmd/chartseal/start", "builtins", "builtins/chartref", "builtins/chart", "builtins/cosign", "builtins/helm", "builtins/all", "builtins/config", "builtins/opa", "builtins/trust", "builtins/trust/inventory", "builtins/trust/tuf"},
}

// What of others a package must stay free of, directly or through anything
// that it imports.
var mustNotReach = map[string][]string{
	"builtins/chartref": {"net/http", "os/exec"},
	"builtins":          {"net/http", "os/exec"},
	"builtins/archive":  {"github.com/open-policy-agent/opa/", "k8s.io/client-go/"},
	"builtins/keyring":  {"github.com/open-policy-agent/opa/", "net/http"},
	"builtins/helm":     {"github.com/open-policy-agent/opa/", "k8s.io/client-go/"},
	"builtins/chart":    {"github.com/open-policy-agent/opa/", "k8s.io/client-go/"},
	"builtins/cosign":   {"github.com/open-policy-agent/opa/", "k8s.io/client-go/"},
	"builtins/source":   {"github.com/open-policy-agent/opa/"},
	"builtins/trust":    {"github.com/open-policy-agent/opa/"},
	"builtins/opa":      {module + "builtins/source"},
	"provider":          {"github.com/open-policy-agent/opa/", "k8s.io/"},
	"cmd/chartseal":     {module + "builtins/source/shared", "github.com/redis/", "github.com/open-policy-agent/gatekeeper/", "k8s.io/client-go/"},
}

// What of the standard library and others a package must not import itself.
var mustNotImport = map[string][]string{
	"builtins/archive": {"net/http", "os", "net"},
	"builtins/keyring": {"net/http", "os", "net"},
	"builtins/helm":    {"net/http", "os", "net"},
	"builtins/chart":   {"net/http", "os", "net"},
	"builtins/cosign":  {"net/http", "os", "net", "github.com/sigstore/sigstore-go/pkg/tuf"},
}

func TestWhoMayImportWhom(t *testing.T) {
	for _, line := range list(t, "{{.ImportPath}} {{join .Imports \" \"}}") {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], module)
		allowed, listed := mayImport[pkg]
		if !listed {
			if strings.HasPrefix(pkg, "test") || strings.HasPrefix(pkg, "builtins/all/") || pkg == "builtins/builtintest" {
				continue
			}
			t.Errorf("%s is not in the table of imports", pkg)
		}
		for _, imported := range fields[1:] {
			if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s", pkg, ours)
			}
			if slices.Contains(mustNotImport[pkg], imported) {
				t.Errorf("%s imports %s", pkg, imported)
			}
		}
	}
}

func TestWhatStaysOut(t *testing.T) {
	for _, line := range list(t, "{{.ImportPath}} {{join .Deps \" \"}}") {
		fields := strings.Fields(line)
		for _, forbidden := range mustNotReach[strings.TrimPrefix(fields[0], module)] {
			for _, dep := range fields[1:] {
				if dep == forbidden || (strings.HasSuffix(forbidden, "/") && strings.HasPrefix(dep, forbidden)) {
					t.Errorf("%s reaches %s", fields[0], dep)
				}
			}
		}
	}
}

// list runs go list over the module, a line per package.
func list(t *testing.T, format string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", format, "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
