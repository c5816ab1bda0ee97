// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/test/bench/load"
)

// A server answers Gatekeeper. What differs between ours and a peer is how it
// is started, what names a chart in a key, and which field is the verdict.
type server struct {
	name    string
	binary  func(testing.TB) string // "" if there is none here
	command func(b testing.TB, binary, dir string, at addresses, s *shelf) *exec.Cmd
	path    string
	key     func(host, digest string) string
	verdict string // the field of an item's value
}

// addresses are where one instance listens; who has no second listener leaves
// it alone.
type addresses struct{ requests, health string }

var chartsealProvider = server{
	name: "chartseal", path: "/v1/check", verdict: "verified",
	binary:  func(b testing.TB) string { return tool(b, "chartseal-provider") },
	command: provide,
	key: func(host, digest string) string {
		return fmt.Sprintf(`{"check":"cosign.verify","opts":{"public_keys":["web"]},"ref":"oci://%s/%s@%s"}`, host, signedRepo, digest)
	},
}

func provide(b testing.TB, binary, dir string, at addresses, s *shelf) *exec.Cmd {
	b.Helper()
	config, err := json.Marshal(map[string]any{
		"trust":      map[string]any{"directory": filepath.Join(workspace, "trust")},
		"registries": []any{map[string]any{"host": s.host, "insecure": true}, map[string]any{"host": s.counting.host, "insecure": true}},
		"server": map[string]any{
			"listen": at.requests, "health": at.health,
			"tls":     map[string]any{"cert_file": pki("tls.crt"), "key_file": pki("tls.key")},
			"clients": map[string]any{"ca_file": pki("ca.crt"), "names": []string{gatekeeper}},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	write(b, filepath.Join(dir, "chartseal.yaml"), config)
	return exec.Command(binary, "--log-level", "error", "--config", filepath.Join(workspace, dir, "chartseal.yaml"))
}

// ratify is set up as README.md says, and why.
var ratify = server{
	name: "Ratify 1.4.6", path: "/ratify/gatekeeper/v1/verify", verdict: "isSuccess",
	binary:  ratifyBinary,
	command: serveRatify,
	key:     func(host, digest string) string { return host + "/" + signedRepo + "@" + digest },
}

// ratifyBinary is PEER_RATIFY, else the tool that was built, else none.
func ratifyBinary(testing.TB) string {
	for _, path := range []string{os.Getenv("PEER_RATIFY"), filepath.Join(os.Getenv("CHARTSEAL_TOOLS"), "ratify")} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

const signatureArtifact = "application/vnd.dev.cosign.artifact.sig.v1+json"

func serveRatify(b testing.TB, binary, dir string, at addresses, _ *shelf) *exec.Cmd {
	b.Helper()
	config, err := json.Marshal(map[string]any{
		"executor": map[string]any{"verificationRequestTimeout": 30_000},
		"store": map[string]any{"version": "1.0.0", "plugins": []any{map[string]any{
			"name": "oras", "useHttp": true, "cosignEnabled": true, "localCachePath": filepath.Join(workspace, dir, "oras"),
			"cacheEnabled": true, "ttl": 3600,
		}}},
		"policy": map[string]any{"version": "1.0.0", "plugin": map[string]any{
			"name": "configPolicy", "artifactVerificationPolicies": map[string]any{signatureArtifact: "any"},
		}},
		"verifier": map[string]any{"version": "1.0.0", "plugins": []any{map[string]any{
			"name": "cosign", "artifactTypes": signatureArtifact, "key": filepath.Join(workspace, "trust", "keys", "web.pub"),
		}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	write(b, filepath.Join(dir, "ratify.json"), config)
	cmd := exec.Command(binary, "serve", "--config", filepath.Join(workspace, dir, "ratify.json"), "--http", at.requests,
		"--cert-dir", pki(""), "--ca-cert-file", pki("ca.crt"),
		"--cache-enabled", "--cache-type", "ristretto", "--cache-size", "256", "--cache-ttl", "1h")
	cmd.Env = []string{"HOME=" + filepath.Join(workspace, dir), "RATIFY_LOG_LEVEL=error"}
	return cmd
}

// An instance is a server that runs.
type instance struct {
	server
	addresses
	stop func()
}

var instances int

// start runs a fresh instance, which has seen nothing and stored nothing.
func (s server) start(b testing.TB, all *shelf) *instance {
	b.Helper()
	instances++
	dir, at := fmt.Sprint("server", instances), addresses{freeAddress(b), freeAddress(b)}
	cmd := s.command(b, s.binary(b), dir, at, all)
	if testing.Verbose() { // else nowhere: to read it here would cost what is measured
		cmd.Stderr = os.Stderr
	}
	stop := background(b, cmd)
	awaitDial(b, at.requests)
	return &instance{s, at, stop}
}

// startBare runs the handler that only ever gives this answer.
func startBare(b testing.TB, answer []byte) *instance {
	b.Helper()
	at := addresses{requests: freeAddress(b)}
	cmd := exec.Command(filepath.Join(workspace, "bare"), "-listen", at.requests, "-cert", pki("tls.crt"), "-key", pki("tls.key"), "-clients", pki("ca.crt"))
	cmd.Stdin = bytes.NewReader(answer)
	stop := background(b, cmd)
	awaitDial(b, at.requests)
	return &instance{server{name: "bare handler", path: "/", key: chartsealProvider.key}, at, stop}
}

// plan asks this instance; who plans adds what, how often and when.
func (i *instance) plan() load.Plan {
	p := load.Plan{URL: "https://" + i.requests + i.path, CA: pki("ca.crt"), Cert: pki("client.crt"), Key: pki("client.key")}
	if i.verdict != "" {
		p.Want, p.Never = fmt.Sprintf("%q:true", i.verdict), fmt.Sprintf("%q:false", i.verdict)
	}
	return p
}

// run carries out a plan. Every answer counts, so one that is not as wanted
// ends the benchmark.
func (i *instance) run(b testing.TB, p load.Plan) load.Result {
	b.Helper()
	r := i.try(b, p)
	if r.Errors > 0 || r.Requests == 0 {
		b.Fatalf("%s: %d of %d answers are wrong, the first: %s", i.name, r.Errors, r.Requests, r.FirstError)
	}
	return r
}

// warmUp has a server judge all that a plan asks for, before anything counts.
// What it has no time for at first it may do behind its answer.
func (i *instance) warmUp(b testing.TB, p load.Plan) {
	b.Helper()
	p.Mode, p.Connections, p.Seconds = load.Cold, 1, 0
	for range 10 {
		if i.try(b, p).Errors == 0 {
			return
		}
	}
	i.run(b, p)
}

// try carries out a plan in a process of its own.
func (i *instance) try(b testing.TB, p load.Plan) load.Result {
	b.Helper()
	input, err := json.Marshal(p)
	if err != nil {
		b.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(filepath.Join(workspace, "load"))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &said
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("asking %s: %v: %s", i.name, err, said.Bytes())
	}
	var r load.Result
	if err := json.Unmarshal(out, &r); err != nil {
		b.Fatal(err)
	}
	return r
}

// keys are what asks this server about charts.
func (s server) keys(host string, digests ...string) (all []string) {
	for _, digest := range digests {
		all = append(all, s.key(host, digest))
	}
	return all
}

// ask asks once and gives the answer as it came.
func (i *instance) ask(b testing.TB, keys []string) []byte {
	b.Helper()
	c, err := i.plan().Dial(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	answer, err := c.Ask(context.Background(), load.Body(keys))
	if err != nil {
		b.Fatalf("asking %s: %v", i.name, err)
	}
	return answer
}

// verdicts are the server's for each key; a key that it gives none for is
// missing.
func (i *instance) verdicts(b testing.TB, keys []string) map[string]bool {
	b.Helper()
	var answer struct {
		Response struct {
			Items []struct {
				Key   string
				Value map[string]any
			}
		}
	}
	raw := i.ask(b, keys)
	if err := json.Unmarshal(raw, &answer); err != nil {
		b.Fatalf("%s: %v: %s", i.name, err, raw)
	}
	given := map[string]bool{}
	for _, item := range answer.Response.Items {
		if verdict, ok := item.Value[i.verdict].(bool); ok {
			given[item.Key] = verdict
		}
	}
	return given
}

// verifications are how many our provider says that it ran; a peer does not
// count them.
func (i *instance) verifications(b testing.TB) (n int) {
	b.Helper()
	if i.name != chartsealProvider.name {
		return 0
	}
	resp, err := http.Get("http://" + i.health + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		if strings.HasPrefix(name, "chartseal_verifications_total{") {
			count, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatalf("%s: %v", lines.Text(), err)
			}
			n += int(count)
		}
	}
	if err := lines.Err(); err != nil {
		b.Fatal(err)
	}
	return n
}
