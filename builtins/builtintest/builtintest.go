// SPDX-License-Identifier: Apache-2.0

// Package builtintest runs a check the way an engine calls it, on cases that
// are files: what is asked, what the world holds, and the whole report.
package builtintest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/source"
)

var update = flag.Bool("update", false, "write what checks report into want.json of their cases")

// Run runs every case of a check, testdata/<function>/*.txtar, as a subtest,
// and once more through the provider, see [Ask].
// A case holds
//
//   - call.json: {"ref": …, "opts": {…}, "now": "2026-01-02T15:04:05Z"},
//   - want.json: the report, every field of it,
//   - keyrings/<name>, keys/<name> and roots/<name>: the trust store,
//   - any other file: what a [source.Map] holds under that name; with the
//     suffix .base64 its content is decoded first.
func Run(t *testing.T, b *builtins.Builtin) {
	t.Helper()
	_, function, _ := strings.Cut(b.Name, ".")
	cases, err := filepath.Glob(filepath.Join("testdata", function, "*.txtar"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("%s has no cases in testdata/%s: %v", b.Name, function, err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { run(t, b, file) })
	}
}

// A call is what call.json says.
type call struct {
	Ref  any             `json:"ref"`
	Opts json.RawMessage `json:"opts"`
	Now  time.Time       `json:"now"`
}

func run(t *testing.T, b *builtins.Builtin, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	world := read(t, archive)
	rep := Ask(t, b, world.env(), world.call.Ref, world.call.Opts)
	got, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		write(t, file, archive, append(got, '\n'))
	} else if diff := cmp.Diff(strings.TrimSpace(string(world.want)), string(got)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// A world is a case as it is read.
type world struct {
	call  call
	want  []byte
	files source.Map
	trust trust
}

func (w world) env() *builtins.Env {
	return &builtins.Env{Now: w.call.Now, Source: w.files, Trust: w.trust, Limits: builtins.DefaultLimits()}
}

func read(t *testing.T, archive *txtar.Archive) world {
	w := world{files: source.Map{}, trust: trust{}}
	for _, f := range archive.Files {
		switch dir := path.Dir(f.Name); {
		case f.Name == "call.json":
			if err := json.Unmarshal(f.Data, &w.call); err != nil {
				t.Fatalf("call.json: %v", err)
			}
		case f.Name == "want.json":
			w.want = f.Data
		case dir == "keyrings" || dir == "keys" || dir == "roots":
			w.trust[f.Name] = f.Data
		default:
			name, data := decode(t, f)
			w.files[name] = source.MapFile{Data: data}
		}
	}
	return w
}

func decode(t *testing.T, f txtar.File) (name string, data []byte) {
	name, encoded := strings.CutSuffix(f.Name, ".base64")
	if !encoded {
		return name, f.Data
	}
	data, err := base64.StdEncoding.DecodeString(string(bytes.ReplaceAll(f.Data, []byte("\n"), nil)))
	if err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	return name, data
}

func write(t *testing.T, file string, archive *txtar.Archive, want []byte) {
	for i, f := range archive.Files {
		if f.Name == "want.json" {
			archive.Files[i].Data = want
		}
	}
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// trust is a trust store by file name.
type trust map[string][]byte

func (s trust) Keyring(name string) (builtins.Material, error)     { return s.material("keyrings", name) }
func (s trust) PublicKey(name string) (builtins.Material, error)   { return s.material("keys", name) }
func (s trust) TrustedRoot(name string) (builtins.Material, error) { return s.material("roots", name) }

func (s trust) material(folder, name string) (builtins.Material, error) {
	raw, ok := s[folder+"/"+name]
	if !ok {
		return builtins.Material{}, builtins.Errorf(builtins.InvalidOptions, "%s has no %q", folder, name)
	}
	return builtins.Material{Name: name, Raw: raw, Digest: builtins.SHA256(raw)}, nil
}
