// SPDX-License-Identifier: Apache-2.0

// Package interop_test holds our verifier against the real tools: gpg, Helm 3
// and Helm 4 make the material, and Helm's own verify is the oracle. `make
// interop` builds the tools and runs it.
package interop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// workspace holds all that is made. Its path is short, because gpg's agent
// listens at a socket in it.
var workspace string

func TestMain(m *testing.M) {
	var err error
	if workspace, err = os.MkdirTemp("/tmp", "cs"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	endAgents()
	if err := os.RemoveAll(workspace); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// tool is the path of a real tool; without it the test is skipped.
func tool(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("CHARTSEAL_TOOLS")
	if dir == "" {
		t.Skip("CHARTSEAL_TOOLS names no folder with helm3, helm4 and gatekeeper; run make interop")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is missing; run make interop", path)
	}
	return path
}

// gnupg is the path of a system program of GnuPG; without it the test is skipped.
func gnupg(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed; interoperability with it is not shown", name)
	}
	return path
}

// chartsealBinary is our command: CHARTSEAL_BIN, or built for this run.
var chartsealBinary = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("CHARTSEAL_BIN"); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(workspace, "chartseal")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/chartseal/chartseal/cmd/chartseal").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building chartseal: %w: %s", err, out)
	}
	return bin, nil
})

// A command is one run of a tool.
type command struct {
	dir   string
	stdin []byte
	env   []string
	path  string
	args  []string
}

// run gives what the tool wrote to its output, and an error with what it wrote
// to the other if it did not end well.
func (c command) run() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir, cmd.Stdin = c.dir, bytes.NewReader(c.stdin)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + workspace,
		"HELM_CACHE_HOME=" + filepath.Join(workspace, "helm"), "HELM_CONFIG_HOME=" + filepath.Join(workspace, "helm"),
		"HELM_DATA_HOME=" + filepath.Join(workspace, "helm"), "DOCKER_CONFIG=" + workspace,
	}, c.env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s %s: %w: %s", filepath.Base(c.path), strings.Join(c.args, " "), err, errs.Bytes())
	}
	return out.Bytes(), nil
}

func (c command) must(t testing.TB) []byte {
	t.Helper()
	out, err := c.run()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A helm is one of the two real ones.
type helm struct{ name, path string }

func helms(t testing.TB) []helm {
	return []helm{{"helm v3", tool(t, "helm3")}, {"helm v4", tool(t, "helm4")}}
}

func (h helm) run(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	return command{dir: dir, path: h.path, args: args}.must(t)
}

// accepts asks helm verify about the archive, its .prov beside it and a ring.
func (h helm) accepts(t testing.TB, archive, ring string) bool {
	t.Helper()
	_, err := command{path: h.path, args: []string{"verify", archive, "--keyring", ring}}.run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return err == nil
}

func write(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// folder is a new folder of the workspace.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(workspace, "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
