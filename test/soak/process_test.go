// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a provider that runs.
type process struct {
	t       testing.TB
	cmd     *exec.Cmd
	journal *journal
	listen  string
	health  string
	exited  chan struct{}
}

// launch starts a provider, with more of the environment, and does not wait.
func (p *place) launch(env ...string) *process {
	p.t.Helper()
	r := &process{t: p.t, journal: newJournal(), exited: make(chan struct{})}
	r.cmd = exec.Command(binary, append([]string{"--config", p.config(), "--drain", "300ms"}, p.flags...)...)
	r.cmd.Env, r.cmd.Stderr = append([]string{"PATH=/nowhere"}, env...), r.journal
	must(p.t, r.cmd.Start())
	go func() {
		_ = r.cmd.Wait()
		close(r.exited)
	}()
	p.t.Cleanup(func() { r.kill() })
	return r
}

// start waits until the provider serves.
func (p *place) start(env ...string) *process {
	p.t.Helper()
	r := p.launch(env...)
	eventually(p.t, "the provider to serve", func() bool {
		select {
		case <-r.exited:
			p.t.Fatalf("the provider ended: %s", r.journal.text())
		default:
		}
		return len(r.journal.entries("serving")) > 0
	})
	serving := r.journal.entries("serving")[0]
	r.listen, r.health = serving["listen"].(string), serving["health"].(string)
	return r
}

// kill is kill -9.
func (r *process) kill() {
	_ = r.cmd.Process.Kill()
	<-r.exited
}

// code is with what the process ended.
func (r *process) code() int {
	select {
	case <-r.exited:
	case <-time.After(patience):
		r.t.Fatal("the provider does not end")
	}
	return r.cmd.ProcessState.ExitCode()
}

func (r *process) lives() bool {
	select {
	case <-r.exited:
		return false
	default:
		return true
	}
}

func (r *process) signal(s syscall.Signal) {
	r.t.Helper()
	must(r.t, r.cmd.Process.Signal(s))
}

// aside asks the port of health and metrics.
func (r *process) aside(path string) (status int, body string, err error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get("http://" + r.health + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

// metrics are by series, as they are written.
func (r *process) metrics() map[string]float64 {
	r.t.Helper()
	_, text, err := r.aside("/metrics")
	must(r.t, err)
	all := map[string]float64{}
	for line := range strings.Lines(text) {
		series, value, ok := cutLast(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		must(r.t, err)
		all[series] = n
	}
	return all
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// sum adds up the series of a metric whose labels have all of these.
func sum(metrics map[string]float64, name string, labels ...string) (total float64) {
	for series, value := range metrics {
		fits := series == name || strings.HasPrefix(series, name+"{")
		for _, label := range labels {
			fits = fits && strings.Contains(series, label)
		}
		if fits {
			total += value
		}
	}
	return total
}

// resident is the memory of the process in bytes.
func (r *process) resident() int64 {
	r.t.Helper()
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(r.cmd.Process.Pid) + "/statm")
	must(r.t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	must(r.t, err)
	return pages * int64(os.Getpagesize())
}

func (r *process) descriptors() int {
	r.t.Helper()
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(r.cmd.Process.Pid) + "/fd")
	must(r.t, err)
	return len(entries)
}

// A journal reads what a provider logs. It keeps all but the lines about keys,
// of which there may be millions, and looks for what must not be in any.
type journal struct {
	mu       sync.Mutex
	rest     []byte
	kept     []map[string]any
	raw      bytes.Buffer
	answered int
	secrets  []string
	leaks    []string
	all      bool
}

func newJournal() *journal { return &journal{} }

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rest = append(j.rest, b...)
	for {
		line, rest, ok := bytes.Cut(j.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		j.line(line)
		j.rest = rest
	}
}

func (j *journal) line(line []byte) {
	for _, secret := range j.secrets {
		if bytes.Contains(line, []byte(secret)) {
			j.leaks = append(j.leaks, string(line))
		}
	}
	if bytes.Contains(line, []byte(`"msg":"answered"`)) && !j.all {
		j.answered++
		return
	}
	j.raw.Write(append(line, '\n'))
	entry := map[string]any{}
	if json.Unmarshal(line, &entry) == nil {
		j.kept = append(j.kept, maps.Clone(entry))
	}
}

// entries are those with a message.
func (j *journal) entries(message string) (found []map[string]any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, entry := range j.kept {
		if entry["msg"] == message {
			found = append(found, entry)
		}
	}
	return found
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.raw.String() + string(j.rest)
}

// watch looks for secrets from now on.
func (j *journal) watch(secrets ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.secrets, j.all = secrets, true
}

func (j *journal) leaked() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.leaks
}
