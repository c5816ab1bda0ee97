// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/test/registry"
)

var statuses = map[int]builtins.Code{
	http.StatusNotFound:                   builtins.NotFound,
	http.StatusGone:                       builtins.NotFound,
	http.StatusUnauthorized:               builtins.Denied,
	http.StatusForbidden:                  builtins.Denied,
	http.StatusTooManyRequests:            builtins.Unavailable,
	http.StatusInternalServerError:        builtins.Unavailable,
	http.StatusServiceUnavailable:         builtins.Unavailable,
	http.StatusTeapot:                     builtins.Unavailable,
	http.StatusNoContent:                  builtins.Unavailable,
	http.StatusPartialContent:             builtins.Unavailable,
	http.StatusNotModified:                builtins.Unavailable, // nothing was asked conditionally
	http.StatusNonAuthoritativeInfo:       builtins.Unavailable,
	http.StatusMultipleChoices:            builtins.Unavailable,
	http.StatusProxyAuthRequired:          builtins.Unavailable,
	http.StatusUnavailableForLegalReasons: builtins.Unavailable,
}

// asked are the requests that lead to a chart, by what they are for.
var asked = []struct {
	name, path string
	ref        func(*world, testing.TB) chartref.Ref
}{
	{"manifest by tag", "/v2/*/manifests/*", (*world).byTag},
	{"manifest by digest", "/v2/*/manifests/*", (*world).byDigest},
	{"chart layer", "/v2/*/blobs/*", (*world).byTag},
	{"archive", "*.tgz", (*world).byURL},
	{"index", "*/index.yaml", (*world).byEntry},
	{"archive of the index", "*.tgz", (*world).byEntry},
}

func TestN1ChartStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	for status, want := range statuses {
		for _, a := range asked {
			t.Run(fmt.Sprintf("N1 %d for %s", status, a.name), func(t *testing.T) {
				remove := w.Rule(registry.Rule{Path: a.path, Status: status, Body: []byte("no")})
				_, err := readArchive(t.Context(), client, a.ref(w, t))
				wantCode(t, err, want)
				remove()
				got, err := readArchive(t.Context(), client, a.ref(w, t))
				wantBytes(t, got, err, archive)
			})
		}
	}
}

func TestN2ProvenanceStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	layer := "/v2/*/blobs/" + builtins.SHA256(prov)
	for status, want := range statuses {
		for name, p := range map[string]struct {
			path string
			ref  chartref.Ref
		}{
			"layer": {layer, w.byTag(t)}, "file": {"*.prov", w.byURL(t)}, "file of the index": {"*.prov", w.byEntry(t)},
		} {
			t.Run(fmt.Sprintf("N2 %d for %s", status, name), func(t *testing.T) {
				remove := w.Rule(registry.Rule{Path: p.path, Status: status, Body: []byte("no")})
				_, err := readProv(t.Context(), client, p.ref)
				wantCode(t, err, want)
				remove()
				got, err := readProv(t.Context(), client, p.ref)
				wantBytes(t, got, err, prov)
			})
		}
	}
	t.Run("N2 no layer, no file", func(t *testing.T) {
		w.PushChart("charts/bare", "1.2.3", archive, nil)
		w.AddFile("bare-1.2.3.tgz", archive)
		_, err := readProv(t.Context(), client, reference(t, "oci://"+w.Host()+"/charts/bare:1.2.3"))
		wantCode(t, err, builtins.NotFound)
		_, err = readProv(t.Context(), client, reference(t, w.URL()+"/bare-1.2.3.tgz"))
		wantCode(t, err, builtins.NotFound)
	})
}

func TestN3RetryAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	w.Rule(registry.Rule{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "3600"}, Body: []byte("later")})
	for _, a := range asked {
		t.Run("N3 "+a.name, func(t *testing.T) {
			w.Forget()
			within(t, 0, func() {
				_, err := readArchive(t.Context(), client, a.ref(w, t))
				wantCode(t, err, builtins.Unavailable)
			})
			if n := len(w.Requests()); n != 1 {
				t.Errorf("asked %d times, want once", n)
			}
		})
	}
}

func TestN7TooLarge(t *testing.T) {
	t.Parallel()
	const limit = 2000
	w := newWorld(t)
	w.AddFile("anything", []byte("x"))
	client := newClient(t, insecure(w.Server), limits(func(l *builtins.Limits) {
		l.Manifest, l.Archive, l.Index, l.Provenance = limit, limit, limit, limit
	}))
	fetch := func(ctx context.Context, src builtins.Source, _ chartref.Ref) ([]byte, error) {
		return src.Fetch(ctx, w.URL()+"/anything", limit)
	}
	for _, r := range []struct {
		name, path string
		ref        chartref.Ref
		read       reading
		streamed   bool
	}{
		{"manifest by tag", "/v2/*/manifests/*", w.byTag(t), readArchive, false},
		{"manifest by digest", "/v2/*/manifests/*", w.byDigest(t), readArchive, false},
		{"index", "*/index.yaml", w.byEntry(t), readArchive, false},
		{"archive", "*.tgz", w.byURL(t), readArchive, true},
		{"provenance", "*.prov", w.byURL(t), readProv, false},
		{"file", "/anything", w.byURL(t), fetch, false},
	} {
		bomb := gzipped(bytes.Repeat([]byte{'0'}, 100*limit))
		for name, rule := range map[string]registry.Rule{
			"over the limit":     {Body: bytes.Repeat([]byte("x"), limit+1)},
			"far over the limit": {Body: []byte("x"), Header: map[string]string{"Content-Length": "1099511627776"}},
			"endless":            {Body: bytes.Repeat([]byte("x"), 512), Repeat: -1},
			"gzip bomb":          {Body: bomb, Header: map[string]string{"Content-Encoding": "gzip"}},
		} {
			if r.streamed && name == "gzip bomb" {
				continue // an archive is judged as it is sent, see TestContentCoding
			}
			t.Run("N7 "+name+" "+r.name, func(t *testing.T) {
				rule.Path = r.path
				defer w.Rule(rule)()
				_, err := r.read(t.Context(), client, r.ref)
				wantCode(t, err, builtins.TooLarge)
			})
		}
		t.Run("N7 twin "+r.name, func(t *testing.T) {
			if _, err := r.read(t.Context(), client, r.ref); err != nil {
				t.Error(err)
			}
		})
	}
}

func gzipped(raw []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(raw)
	_ = z.Close()
	return b.Bytes()
}

func TestContentCoding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	for coding, c := range map[string]struct {
		body []byte
		want builtins.Code
	}{
		"gzip": {gzipped(prov), builtins.OK}, "identity": {prov, builtins.OK}, "br": {prov, builtins.Unavailable},
		"gzip, gzip": {gzipped(gzipped(prov)), builtins.Unavailable},
	} {
		remove := w.Rule(registry.Rule{Path: "*.prov", Body: c.body, Header: map[string]string{"Content-Encoding": coding}})
		got, err := readProv(t.Context(), client, w.byURL(t))
		wantCode(t, err, c.want)
		if err == nil {
			wantBytes(t, got, err, prov)
		}
		remove()
	}
	for _, body := range [][]byte{prov, gzipped(prov)[:20]} {
		remove := w.Rule(registry.Rule{Path: "*.prov", Body: body, Header: map[string]string{"Content-Encoding": "gzip"}})
		_, err := readProv(t.Context(), client, w.byURL(t))
		wantCode(t, err, builtins.Unavailable)
		remove()
	}
	// Some servers take a .tgz for a compressed .tar. Its bytes are what is signed.
	w.Rule(registry.Rule{Path: "*.tgz", Header: map[string]string{"Content-Encoding": "gzip"}})
	got, err := readArchive(t.Context(), client, w.byEntry(t))
	wantBytes(t, got, err, archive)
}

func TestN8Slow(t *testing.T) {
	t.Parallel()
	const silence = 200 * time.Millisecond
	const deadline = 600 * time.Millisecond
	for name, c := range map[string]struct {
		rule registry.Rule
		wait time.Duration
	}{
		"a byte per 100 ms":         {registry.Rule{Trickle: registry.Trickle{Bytes: 1, Every: 100 * time.Millisecond}}, deadline},
		"no answer":                 {registry.Rule{Hang: true}, silence},
		"silence after some bytes":  {registry.Rule{Trickle: registry.Trickle{Bytes: 5, Every: time.Hour}}, silence},
		"an answer after the limit": {registry.Rule{Delay: time.Hour}, silence},
	} {
		for _, a := range asked {
			t.Run("N8 "+name+" "+a.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				client := newClient(t, insecure(w.Server), limits(func(l *builtins.Limits) { l.Silence = builtins.Duration(silence) }))
				rule := c.rule
				rule.Path = a.path
				w.Rule(rule)
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				within(t, c.wait, func() {
					_, err := readArchive(ctx, client, a.ref(w, t))
					wantCode(t, err, builtins.Timeout)
				})
			})
		}
	}
	t.Run("N8 twin", func(t *testing.T) { // slow, and no silence that a busy machine could lengthen to the limit
		w := newWorld(t)
		client := newClient(t, insecure(w.Server))
		w.Rule(registry.Rule{Trickle: registry.Trickle{Bytes: 64, Every: time.Millisecond}})
		got, err := readArchive(t.Context(), client, w.byURL(t))
		wantBytes(t, got, err, archive)
	})
}

// TestN8AcceptedThenSilence is about a peer that never says a word of TLS.
func TestN8AcceptedThenSilence(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	host := silent.Addr().String()
	for name, hosts := range map[string]listed{"secure": {host: {}}, "insecure": {host: {Insecure: true}}} {
		client := newClient(t, hosts, limits(func(l *builtins.Limits) { l.Connect = builtins.Duration(200 * time.Millisecond) }))
		for _, ref := range []string{"https://" + host + "/web-1.2.3.tgz", "oci://" + host + "/charts/web:1.2.3"} {
			t.Run("N8 "+name+" "+ref[:5], func(t *testing.T) {
				within(t, 200*time.Millisecond, func() {
					_, err := readArchive(t.Context(), client, reference(t, ref))
					wantCode(t, err, builtins.Timeout)
				})
			})
		}
	}
}

func TestN9Cut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	for name, rule := range map[string]registry.Rule{
		"reset in mid-body":           {CutAfter: 10, Reset: true},
		"reset before the answer":     {Reset: true},
		"body shorter than announced": {CutAfter: 10},
		"not HTTP": {Handler: func(rw http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err == nil {
				_, _ = conn.Write([]byte("SSH-2.0-OpenSSH\r\n\r\n"))
				_ = conn.Close()
			}
		}},
		"endless header": {Header: map[string]string{"X-Long": strings.Repeat("x", 100<<10)}},
	} {
		for _, a := range asked {
			t.Run("N9 "+name+" "+a.name, func(t *testing.T) {
				rule.Path = a.path
				remove := w.Rule(rule)
				_, err := readArchive(t.Context(), client, a.ref(w, t))
				wantCode(t, err, builtins.Unavailable)
				remove()
				got, err := readArchive(t.Context(), client, a.ref(w, t))
				wantBytes(t, got, err, archive)
			})
		}
	}
}

func TestR1RegistryDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	refs := w.everyWay(t)
	w.Close()
	for name, ref := range refs {
		t.Run("R1 "+name, func(t *testing.T) {
			_, err := readArchive(t.Context(), client, ref)
			wantCode(t, err, builtins.Unavailable)
		})
	}
	t.Run("R1 no such name", func(t *testing.T) {
		client := newClient(t, nil, through(registry.NewNet()))
		_, err := readArchive(t.Context(), client, reference(t, "https://charts.example.com/web-1.2.3.tgz"))
		wantCode(t, err, builtins.Unavailable)
	})
}

func TestR2Cancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rule(registry.Rule{Hang: true})
	client := newClient(t, insecure(w.Server))
	for name, ref := range w.everyWay(t) {
		t.Run("R2 "+name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			within(t, 50*time.Millisecond, func() {
				_, err := readArchive(ctx, client, ref)
				wantCode(t, err, builtins.Timeout)
			})
		})
	}
}

// Reports end up in JSON: reasons are text.
func TestReasonsArePrintable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	w.Rule(registry.Rule{Path: "*.prov", Body: []byte("x"), Header: map[string]string{"Content-Encoding": "\x1b[31m"}})
	_, err := readProv(t.Context(), client, w.byURL(t))
	if raw, _ := json.Marshal(err.Error()); strings.Contains(string(raw), `\u001b`) {
		t.Errorf("reason is %s", raw)
	}
}
