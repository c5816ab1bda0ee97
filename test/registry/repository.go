// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"
)

// files are what the server gives outside /v2/, with ETags.
type files struct {
	mu      sync.Mutex
	content map[string][]byte
	indexes map[string]*Index
}

func newFiles() *files {
	return &files{content: map[string][]byte{}, indexes: map[string]*Index{}}
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	body, ok := f.content[strings.TrimPrefix(r.URL.Path, "/")]
	f.mu.Unlock()
	if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		http.NotFound(w, r)
		return
	}
	kind := mime.TypeByExtension(path.Ext(r.URL.Path))
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", `"`+digestOf(body)+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func (f *files) set(name string, body []byte) { f.content[strings.TrimPrefix(name, "/")] = body }

// AddFile puts a file, or another content of it, at a path below the root.
func (s *Server) AddFile(name string, body []byte) {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	s.files.set(name, body)
}

// RemoveFile takes a file away.
func (s *Server) RemoveFile(name string) {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	delete(s.files.content, strings.TrimPrefix(name, "/"))
}

// An Index is an index.yaml.
type Index struct {
	APIVersion string              `json:"apiVersion"`
	Generated  time.Time           `json:"generated"`
	Entries    map[string][]*Entry `json:"entries"`
}

// An Entry is one version of a chart in an index.
type Entry struct {
	*chart.Metadata `json:",inline"`
	Created         time.Time `json:"created"`
	Digest          string    `json:"digest,omitempty"` // bare hex
	URLs            []string  `json:"urls"`
}

// AddChart puts an archive and, unless it is nil, its provenance into the
// chart repository in folder dir, adds it to the index and returns the
// archive's path. An archive that Helm cannot read is no chart: it panics.
func (s *Server) AddChart(dir string, archive, prov []byte) string {
	meta := metadata(archive)
	if meta == nil {
		panic("registry: AddChart needs a chart; use AddFile and EditIndex for anything else")
	}
	file := meta.Name + "-" + meta.Version + ".tgz"
	name := path.Join(dir, file)
	s.AddFile(name, archive)
	if prov != nil {
		s.AddFile(name+".prov", prov)
	}
	s.EditIndex(dir, func(index *Index) {
		entry := &Entry{
			Metadata: meta, Created: index.Generated, URLs: []string{file},
			Digest: strings.TrimPrefix(digestOf(archive), "sha256:"),
		}
		index.Entries[meta.Name] = append(index.Entries[meta.Name], entry)
	})
	return name
}

// EditIndex changes the index of the chart repository in folder dir and writes
// its index.yaml anew.
func (s *Server) EditIndex(dir string, edit func(*Index)) {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	index := s.files.indexes[dir]
	if index == nil {
		at, _ := time.Parse(time.RFC3339, creationTime)
		index = &Index{APIVersion: "v1", Generated: at, Entries: map[string][]*Entry{}}
		s.files.indexes[dir] = index
	}
	edit(index)
	body, err := yaml.Marshal(index)
	if err != nil {
		panic(err) // an edit put something in that is not YAML
	}
	s.files.set(path.Join(dir, "index.yaml"), body)
}
