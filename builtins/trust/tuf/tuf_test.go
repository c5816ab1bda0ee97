// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"go.uber.org/goleak"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/trust"
	"github.com/chartseal/chartseal/builtins/trust/tuf"
	"github.com/chartseal/chartseal/test/tufrepo"
	"github.com/chartseal/chartseal/test/vsig"
)

func TestMain(m *testing.M) {
	// The timers of libraries that come along with sigstore's never end.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

var (
	at       = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	oldRoot  = vsig.New(at).Root()
	newRoot  = vsig.New(at).Root()
	lastYear = time.Now().AddDate(-1, 0, 0)
)

// A world is a repository, its mirror, and a trust directory that holds what a
// first update brought.
type world struct {
	repo   *tufrepo.Repository
	mirror string // folder
	dir    string
	from   tuf.Mirror
	limits builtins.Limits
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{repo: tufrepo.New(oldRoot), mirror: filepath.Join(t.TempDir(), "mirror"), dir: t.TempDir(), limits: builtins.DefaultLimits()}
	w.from = tuf.Mirror{URL: "file://" + w.mirror, Root: w.repo.Root()}
	w.publish()
	if _, err := w.refresh(t); err != nil {
		t.Fatal(err)
	}
	w.repo.Version, w.repo.Target = 2, newRoot
	w.publish()
	return w
}

func (w *world) publish() { w.repo.Write(w.mirror) }

func (w *world) refresh(t *testing.T) (*tuf.Result, error) {
	return tuf.Refresh(t.Context(), w.dir, "ours", w.from, w.limits)
}

// edit changes a file of the mirror.
func (w *world) edit(t *testing.T, pattern string, edit func([]byte) []byte) {
	t.Helper()
	for _, path := range w.match(t, pattern) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, edit(raw), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) remove(t *testing.T, pattern string) {
	t.Helper()
	for _, path := range w.match(t, pattern) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) match(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.mirror, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s matches %d files: %v", pattern, len(paths), err)
	}
	return paths
}

// files are all files of the trust directory, hidden ones too.
func (w *world) files(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(w.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			raw, read := os.ReadFile(filepath.Join(w.dir, name))
			files[name], err = string(raw), read
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (w *world) holds(t *testing.T, want []byte) {
	t.Helper()
	store, err := trust.Open(w.dir, w.limits)
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.TrustedRoot("ours")
	if err != nil || !bytes.Equal(got.Raw, want) {
		t.Errorf("the store has another trusted root, or: %v", err)
	}
}

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	w.holds(t, oldRoot)
	for _, want := range []bool{true, false} {
		result, err := w.refresh(t)
		if err != nil {
			t.Fatal(err)
		}
		if result.File != "roots/ours.json" || result.Digest != builtins.SHA256(newRoot) || result.Changed != want {
			t.Errorf("result is %+v, want changed %v", result, want)
		}
		w.holds(t, newRoot)
	}
	for name := range w.files(t) {
		if name != "roots/ours.json" && filepath.Dir(name) != ".tuf/ours" {
			t.Errorf("%s was left behind", name)
		}
	}
}

// Each bad mirror is refused and nothing in the trust directory changes; then
// the twin makes it good, and the update is taken.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		bad  func(*testing.T, *world)
		want string
		twin func(*testing.T, *world)
	}{
		{"older than what is kept", func(t *testing.T, w *world) {
			if _, err := w.refresh(t); err != nil {
				t.Fatal(err)
			}
			w.repo.Version, w.repo.Target = 1, oldRoot
			w.publish()
		}, "timestamp.json is older than what is kept, or than what vouches for it: new timestamp version 1 must be >= 2", func(_ *testing.T, w *world) {
			w.repo.Version, w.repo.Target = 3, newRoot
		}},
		{"older snapshot under a new timestamp", func(t *testing.T, w *world) {
			w.repo.Version = 1
			old := w.repo.Files()["1.snapshot.json"]
			w.repo.Version = 2
			w.edit(t, "2.snapshot.json", func([]byte) []byte { return old })
		}, "snapshot.json is older", nil},
		{"timestamp expired", expire(metadata.TIMESTAMP), "the mirror is out of date: timestamp.json is expired", unexpire},
		{"snapshot expired", expire(metadata.SNAPSHOT), "the mirror is out of date: snapshot.json is expired", unexpire},
		{"targets expired", expire(metadata.TARGETS), "the mirror is out of date: new targets is expired", unexpire},
		{"final root expired", func(_ *testing.T, w *world) {
			w.repo.Expires[metadata.ROOT] = lastYear
			w.repo.Rotate()
			w.publish()
		}, "the mirror is out of date: final root.json is expired", func(_ *testing.T, w *world) {
			delete(w.repo.Expires, metadata.ROOT)
			w.repo.Rotate()
		}},
		{"timestamp signed by a stranger", func(t *testing.T, w *world) {
			stranger := tufrepo.New(newRoot)
			stranger.Version = 2
			w.edit(t, "timestamp.json", func([]byte) []byte { return stranger.Files()["timestamp.json"] })
		}, "timestamp.json is not signed by those whom the root names", nil},
		{"root signed by a stranger", func(t *testing.T, w *world) {
			stranger := tufrepo.New(newRoot)
			stranger.Rotate(metadata.ROOT)
			w.repo.Rotate(metadata.ROOT)
			w.publish()
			w.edit(t, "2.root.json", func([]byte) []byte { return stranger.RootVersion(2) })
		}, "2.root.json is not signed by those whom the root names", nil},
		{"another initial root", func(_ *testing.T, w *world) {
			w.from.Root = tufrepo.New(newRoot).Root()
		}, "the initial root is not the kept root of version 1, so it is of another repository", func(_ *testing.T, w *world) { w.from.Root = w.repo.Root() }},
		{"another initial root, newer than the kept one", func(_ *testing.T, w *world) {
			other := tufrepo.New(newRoot)
			other.Rotate()
			w.repo.Rotate()
			w.publish()
			w.from.Root = other.RootVersion(2)
		}, "the mirror's root 2 is not the initial root of this version", func(_ *testing.T, w *world) { w.from.Root = w.repo.RootVersion(2) }},
		{"another repository with its own root", func(_ *testing.T, w *world) {
			other := tufrepo.New(newRoot)
			other.Version = 7
			other.Write(w.mirror)
			w.from.Root = other.Root()
		}, "so it is of another repository", func(_ *testing.T, w *world) { w.from.Root = w.repo.Root() }},
		{"newer roots hidden, with a key that they revoked", func(t *testing.T, w *world) {
			hidden := w.repo.Files() // signed with the keys of root 1
			w.repo.Rotate(metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS)
			w.publish()
			if _, err := w.refresh(t); err != nil {
				t.Fatal(err)
			}
			w.remove(t, "*.json")
			w.write(t, hidden)
		}, "the roots of the mirror end at version 1, the kept root is version 2", nil},
		{"one byte of the target changed", func(t *testing.T, w *world) {
			w.edit(t, "targets/*", func(raw []byte) []byte { raw[len(raw)/2] ^= 1; return raw })
		}, "differs from what is signed: hash verification failed", nil},
		{"target cut short", func(t *testing.T, w *world) {
			w.edit(t, "targets/*", func(raw []byte) []byte { return raw[:len(raw)/2] })
		}, "differs from what is signed: ", nil},
		{"target with more behind it", func(t *testing.T, w *world) {
			w.edit(t, "targets/*", func(raw []byte) []byte { return append(raw, ' ') })
		}, "trusted_root.json has more than", nil},
		{"target over the limit", func(_ *testing.T, w *world) {
			w.limits.Trust = int64(len(newRoot)) - 1
		}, "trusted_root.json has more than", func(_ *testing.T, w *world) { w.limits.Trust++ }},
		{"no target", func(t *testing.T, w *world) { w.remove(t, "targets/*") }, "the mirror has no targets/", nil},
		{"no timestamp", func(t *testing.T, w *world) { w.remove(t, "timestamp.json") }, "the mirror has no timestamp.json", nil},
		{"timestamp that is no JSON", func(t *testing.T, w *world) {
			w.edit(t, "timestamp.json", func([]byte) []byte { return []byte("<html>") })
		}, "timestamp.json cannot be read", nil},
		{"signed, and no trusted root", func(_ *testing.T, w *world) {
			w.repo.Target = []byte(`{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`)
			w.publish()
		}, "trusted_root.json is signed and of no use", func(_ *testing.T, w *world) { w.repo.Target = newRoot }},
		{"signed, and of a format to come", func(_ *testing.T, w *world) {
			w.repo.Target = bytes.Replace(newRoot, []byte("version=0.1"), []byte("version=9.9"), 1)
			w.publish()
		}, "trusted_root.json is signed and of no use", func(_ *testing.T, w *world) { w.repo.Target = newRoot }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.bad(t, w)
			before := w.files(t)
			_, err := w.refresh(t)
			if !errors.As(err, new(tuf.Refused)) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want a refusal with %q", err, tt.want)
			}
			if !maps.Equal(w.files(t), before) {
				t.Error("the trust directory has changed")
			}
			if tt.twin != nil {
				tt.twin(t, w)
			}
			w.publish()
			if _, err := w.refresh(t); err != nil {
				t.Errorf("the twin is refused: %v", err)
			}
			w.holds(t, newRoot)
		})
	}
}

func expire(role string) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		w.repo.Expires[role] = lastYear
		w.publish()
	}
}

func unexpire(_ *testing.T, w *world) { clear(w.repo.Expires) }

func (w *world) write(t *testing.T, files map[string][]byte) {
	t.Helper()
	for name, raw := range files {
		if err := os.WriteFile(filepath.Join(w.mirror, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What is refused in general is good where the specification says so.
func TestRecoveries(t *testing.T) {
	for name, set := range map[string]func(*testing.T, *world){
		"the kept root has expired and leads to one that has not": func(t *testing.T, w *world) {
			w.repo.Expires[metadata.ROOT] = lastYear
			w.repo.Rotate()
			clear(w.repo.Expires)
			w.repo.Rotate(metadata.ROOT)
		},
		"a stolen timestamp key ran ahead, and was replaced": func(t *testing.T, w *world) {
			w.repo.Version = 1000
			w.publish()
			if _, err := w.refresh(t); err != nil {
				t.Fatal(err)
			}
			w.repo.Version = 3
			w.repo.Rotate(metadata.TIMESTAMP, metadata.SNAPSHOT)
		},
		"the initial root is newer than the kept one": func(_ *testing.T, w *world) {
			w.repo.Rotate(metadata.ROOT)
			w.from.Root = w.repo.RootVersion(2)
		},
		"the kept metadata has expired": func(t *testing.T, w *world) {
			w.repo.Expires[metadata.TIMESTAMP] = time.Now().Add(time.Second)
			w.publish()
			if _, err := w.refresh(t); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1100 * time.Millisecond)
			clear(w.repo.Expires)
			w.repo.Version++
		},
		"the trusted root was removed": func(t *testing.T, w *world) {
			if err := os.Remove(filepath.Join(w.dir, "roots", "ours.json")); err != nil {
				t.Fatal(err)
			}
		},
		"the trusted root was spoilt": func(t *testing.T, w *world) {
			if err := os.WriteFile(filepath.Join(w.dir, "roots", "ours.json"), []byte("{"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			set(t, w)
			w.publish()
			if _, err := w.refresh(t); err != nil {
				t.Fatal(err)
			}
			w.holds(t, newRoot)
		})
	}
}

// An expired timestamp that is kept still guards against older ones.
func TestExpiredGuardsAgainstRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo.Expires[metadata.TIMESTAMP] = time.Now().Add(time.Second)
	w.publish()
	if _, err := w.refresh(t); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond)
	clear(w.repo.Expires)
	w.repo.Version = 1
	w.publish()
	if _, err := w.refresh(t); !errors.As(err, new(tuf.Refused)) {
		t.Errorf("error is %v, want a refusal", err)
	}
	w.holds(t, newRoot)
}

func TestByNetwork(t *testing.T) {
	refused := httptest.NewServer(http.NotFoundHandler())
	refused.Close()
	for _, tt := range []struct {
		name  string
		serve func(files http.Handler) http.Handler
		want  string // "" if it is good
	}{
		{"a server", func(files http.Handler) http.Handler { return files }, ""},
		{"a redirect", func(files http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if rest, moved := strings.CutPrefix(r.URL.Path, "/moved"); moved {
					r.URL.Path = rest
					files.ServeHTTP(w, r)
					return
				}
				http.Redirect(w, r, "/moved"+r.URL.Path, http.StatusFound)
			})
		}, ""},
		{"a redirect to itself", func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) })
		}, "more than 5 redirects"},
		{"503", status(http.StatusServiceUnavailable), "reading 2.root.json: answer is 503"},
		{"403", status(http.StatusForbidden), "reading 2.root.json: answer is 403"},
		{"a server that says nothing", func(http.Handler) http.Handler {
			return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, "reading 2.root.json: "},
		{"a server that stops within", func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "1000")
				w.Write([]byte("{"))
			})
		}, "unexpected EOF"},
		{"no server", func(http.Handler) http.Handler { return nil }, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.limits.Silence = builtins.Duration(200 * time.Millisecond)
			w.from.Insecure, w.from.URL = true, refused.URL
			if handler := tt.serve(http.FileServer(http.Dir(w.mirror))); handler != nil {
				srv := httptest.NewServer(handler)
				defer srv.Close()
				w.from.URL = srv.URL + "/"
			}
			before := w.files(t)
			_, err := w.refresh(t)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				w.holds(t, newRoot)
				return
			}
			if !errors.As(err, new(tuf.Unavailable)) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want unavailable with %q", err, tt.want)
			}
			if !maps.Equal(w.files(t), before) {
				t.Error("the trust directory has changed")
			}
		})
	}
}

func status(code int) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := httptest.NewServer(http.FileServer(http.Dir(w.mirror)))
	defer srv.Close()
	w.from.Insecure, w.from.URL = true, srv.URL
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tuf.Refresh(ctx, w.dir, "ours", w.from, w.limits); !errors.As(err, new(tuf.Unavailable)) {
		t.Errorf("error is %v, want unavailable", err)
	}
}

func TestArguments(t *testing.T) {
	w := newWorld(t)
	good := w.from
	for _, tt := range []struct {
		name, trusted string
		set           func(*tuf.Mirror)
		want          string
	}{
		{"name that is a path", "../ours", func(*tuf.Mirror) {}, `name "../ours" is not letters`},
		{"hidden name", ".ours", func(*tuf.Mirror) {}, "is not letters"},
		{"root that is none", "ours", func(m *tuf.Mirror) { m.Root = []byte("{}") }, "the initial root is no TUF root"},
		{"root that does not sign itself", "ours", func(m *tuf.Mirror) {
			m.Root = bytes.Replace(m.Root, []byte(`"version":1`), []byte(`"version":2`), 1)
		}, "the initial root is no TUF root"},
		{"http without leave", "ours", func(m *tuf.Mirror) { m.URL = "http://127.0.0.1:9" }, "lists no such host as insecure"},
		{"another scheme", "ours", func(m *tuf.Mirror) { m.URL = "ftp://tuf.example.com" }, "neither https://host/path nor file:///path"},
		{"password", "ours", func(m *tuf.Mirror) { m.URL = "https://me:secret@tuf.example.com" }, "is no plain URL"},
		{"folder that is not there", "ours", func(m *tuf.Mirror) { m.URL += "/nowhere" }, "no such file"},
		{"folder on another host", "ours", func(m *tuf.Mirror) { m.URL = "file://host/tuf" }, "neither https://host/path nor file:///path"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := good
			tt.set(&from)
			_, err := tuf.Refresh(t.Context(), w.dir, tt.trusted, from, w.limits)
			if err == nil || errors.As(err, new(tuf.Refused)) || errors.As(err, new(tuf.Unavailable)) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := tuf.Refresh(t.Context(), filepath.Join(w.dir, "nowhere"), "ours", good, w.limits); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there gives %v", err)
	}
}

// The root of the public good instance is built in. A mirror that is empty
// shows that it is one and is used.
func TestPublicGoodRootIsBuiltIn(t *testing.T) {
	empty := t.TempDir()
	_, err := tuf.Refresh(t.Context(), t.TempDir(), tuf.PublicGood, tuf.Mirror{URL: "file://" + empty}, builtins.DefaultLimits())
	if !errors.As(err, new(tuf.Refused)) || !strings.Contains(err.Error(), "the mirror has no timestamp.json") {
		t.Errorf("error is %v, want that the mirror has no timestamp", err)
	}
}
