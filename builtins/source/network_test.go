// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
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
			t.Run("N7 "+name+" "+r.name, func(t *testing.T) {
				if r.streamed && name == "gzip bomb" {
					t.Skip("an archive is judged as it is sent and not decompressed here")
				}
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
	w := newWorld(t)
	const silence = 200 * time.Millisecond
	client := newClient(t, insecure(w.Server), limits(func(l *builtins.Limits) { l.Silence = builtins.Duration(silence) }))
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
	t.Run("N8 twin", func(t *testing.T) {
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

// tlsPair are two servers of one CA, the second another host than the first.
func tlsPair(t *testing.T, opts ...registry.Option) (home, away *world, ca *registry.CA) {
	t.Helper()
	ca = registry.NewCA()
	home = newWorld(t, append(opts, registry.WithTLS(ca.Config()))...)
	away = newWorld(t, registry.WithTLS(ca.Config("127.0.0.2")), registry.On("127.0.0.2"))
	return home, away, ca
}

func wantNoAuthorization(t *testing.T, s *registry.Server) {
	t.Helper()
	if len(s.Requests()) == 0 {
		t.Error("nothing arrived, so nothing is shown")
	}
	for _, r := range s.Requests() {
		if got := r.Header.Get("Authorization"); got != "" {
			t.Errorf("%s got the authorization %q", r.Path, got)
		}
	}
}

func TestN10RedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	for _, opts := range []registry.Option{registry.WithBasic("robot", "word"), registry.WithToken("robot", "word")} {
		home, away, ca := tlsPair(t, opts)
		hosts := secure(home.Server, away.Server).with(home.Server, "robot", "word").with(away.Server, "other", "secret")
		client := newClient(t, hosts, trusting(ca))
		for _, path := range []string{"/v2/charts/web/blobs/*", "*.tgz", "*/index.yaml", "/v2/charts/web/manifests/*"} {
			home.Rule(registry.Rule{Path: path, Handler: func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, away.URL()+r.URL.Path, http.StatusTemporaryRedirect)
			}})
		}
		for name, ref := range home.everyWay(t) {
			t.Run("N10 "+name, func(t *testing.T) {
				away.Forget()
				got, err := readArchive(t.Context(), client, ref)
				wantBytes(t, got, err, archive)
				wantNoAuthorization(t, away.Server)
			})
		}
		t.Run("N10 bytes are still hashed", func(t *testing.T) {
			defer away.Rule(registry.Rule{Path: "/v2/charts/web/blobs/*", Edit: flipped})()
			_, err := readArchive(t.Context(), client, home.byTag(t))
			wantCode(t, err, builtins.DigestMismatch)
		})
		t.Run("N10 where a redirect leads, nobody challenges", func(t *testing.T) {
			defer away.Rule(registry.Rule{Path: "/v2/*/blobs/*", Status: 401, Header: map[string]string{"WWW-Authenticate": `Basic realm="give"`}, Body: []byte("x")})()
			away.Forget()
			_, err := readArchive(t.Context(), client, home.byTag(t))
			wantCode(t, err, builtins.Denied)
			wantNoAuthorization(t, away.Server)
		})
	}
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

func TestN11Redirects(t *testing.T) {
	t.Parallel()
	home, _, ca := tlsPair(t)
	plain := newWorld(t)
	client := newClient(t, secure(home.Server).and(insecure(plain.Server)), trusting(ca))
	t.Run("N11 https to http", func(t *testing.T) {
		for _, path := range []string{"/v2/*/blobs/*", "*.tgz", "*/index.yaml"} {
			defer home.Rule(registry.Rule{Path: path, Redirect: plain.URL() + "/stable/web-1.2.3.tgz"})()
		}
		for _, ref := range home.everyWay(t) {
			_, err := readArchive(t.Context(), client, ref)
			wantCode(t, err, builtins.SourceDenied)
		}
		if n := len(plain.Requests()); n > 0 {
			t.Errorf("%d requests arrived over http", n)
		}
	})
	for hops, want := range map[int]builtins.Code{5: builtins.OK, 6: builtins.Unavailable} {
		t.Run(fmt.Sprintf("N11 %d hops", hops), func(t *testing.T) {
			for i := range hops {
				defer home.Rule(registry.Rule{Path: "/hop/" + strconv.Itoa(i), Redirect: "/hop/" + strconv.Itoa(i+1)})()
			}
			home.AddFile("hop/"+strconv.Itoa(hops), archive)
			_, err := readArchive(t.Context(), client, reference(t, home.URL()+"/hop/0"))
			wantCode(t, err, want)
			home.RemoveFile("hop/" + strconv.Itoa(hops))
		})
	}
	for name, c := range map[string]struct {
		to   string
		want builtins.Code
	}{
		"a loop":         {"/away.tgz", builtins.Unavailable},
		"nowhere":        {"", builtins.Unavailable},
		"another scheme": {"file:///etc/passwd", builtins.SourceDenied},
		"userinfo":       {"https://robot:word@127.0.0.2/x", builtins.SourceDenied},
		"a zone":         {"https://[fe80::1%25lo]/x", builtins.SourceDenied},
	} {
		t.Run("N11 "+name, func(t *testing.T) {
			defer home.Rule(registry.Rule{Path: "/away.tgz", Status: 302, Body: []byte("x"), Header: map[string]string{"Location": c.to}})()
			_, err := readArchive(t.Context(), client, reference(t, home.URL()+"/away.tgz"))
			wantCode(t, err, c.want)
		})
	}
}

func TestN12RedirectInside(t *testing.T) {
	t.Parallel()
	ca := registry.NewCA()
	w := newWorld(t, registry.WithTLS(ca.Config("charts.example.com", "inside.example.com", "elsewhere.example.com", "169.254.169.254", "::1")))
	dns := registry.NewNet()
	dns.Name("charts.example.com", "203.0.113.7")
	dns.Name("elsewhere.example.com", "203.0.113.8")
	for _, at := range []string{"203.0.113.7:443", "203.0.113.8:443", "169.254.169.254:443", "127.0.0.1:443", "[::1]:443", "[fe80::1]:443", "[fd00:ec2::254]:443", "[64:ff9b::7f00:1]:443", "100.100.100.200:443"} {
		dns.Route(at, w.Server)
	}
	client := newClient(t, listed{}, trusting(ca), through(dns))
	read := func(t *testing.T, to string) error {
		defer w.Rule(registry.Rule{Path: "/away.tgz", Redirect: to + "/stable/web-1.2.3.tgz"})()
		w.Forget()
		_, err := readArchive(t.Context(), client, reference(t, "https://charts.example.com/away.tgz"))
		return err
	}
	t.Run("N12 twin", func(t *testing.T) { wantCode(t, read(t, "https://elsewhere.example.com"), builtins.OK) })
	for _, address := range []string{"169.254.169.254", "127.0.0.1", "::1", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00:ec2::254", "100.100.100.200"} {
		literal := address
		if strings.Contains(address, ":") {
			literal = "[" + address + "]"
		}
		name := "inside" + strconv.Itoa(len(dns.Dialed())) + strings.Map(hexOnly, address) + ".example.com"
		dns.Name(name, address)
		for kind, host := range map[string]string{"address": literal, "name": name} {
			t.Run("N12 "+kind+" "+address, func(t *testing.T) {
				wantCode(t, read(t, "https://"+host), builtins.SourceDenied)
				if n := w.Count("", "/stable/*"); n > 0 {
					t.Errorf("%d requests arrived", n)
				}
			})
		}
	}
	for _, at := range dns.Dialed() {
		if !strings.HasPrefix(at, "203.0.113.") {
			t.Errorf("N12 dialled %s", at)
		}
	}
	t.Run("N12 twin listed", func(t *testing.T) {
		client = newClient(t, listed{"169.254.169.254": {}}, trusting(ca), through(dns))
		wantCode(t, read(t, "https://169.254.169.254"), builtins.OK)
	})
}

func hexOnly(r rune) rune {
	if strings.ContainsRune("0123456789abcdef", r) {
		return r
	}
	return -1
}

// TestN12RealDialer is the same without a network of the test's making.
func TestN12RealDialer(t *testing.T) {
	t.Parallel()
	ca := registry.NewCA()
	w := newWorld(t, registry.WithTLS(ca.Config("localhost")))
	refs := []string{"https://localhost:" + w.Port() + "/stable/web-1.2.3.tgz", "https://127.0.0.1:" + w.Port() + "/stable/web-1.2.3.tgz", "oci://localhost:" + w.Port() + "/charts/web:1.2.3"}
	for _, ref := range refs {
		client := newClient(t, listed{}, trusting(ca))
		_, err := readArchive(t.Context(), client, reference(t, ref))
		wantCode(t, err, builtins.SourceDenied)
	}
	if open, peak := w.Connections(); open+peak > 0 {
		t.Errorf("%d connections arrived", peak)
	}
	for _, ref := range refs {
		client := newClient(t, listed{"localhost:" + w.Port(): {}, "127.0.0.1:" + w.Port(): {}}, trusting(ca))
		_, err := readArchive(t.Context(), client, reference(t, ref))
		wantCode(t, err, builtins.OK)
	}
}

func TestN13Rebinding(t *testing.T) {
	t.Parallel()
	ca := registry.NewCA()
	w := newWorld(t, registry.WithTLS(ca.Config("charts.example.com")))
	dns := registry.NewNet()
	dns.Name("charts.example.com", "203.0.113.7")
	dns.Name("charts.example.com", "127.0.0.1")
	dns.Route("203.0.113.7:443", w.Server)
	dns.Route("127.0.0.1:443", w.Server)
	client := newClient(t, listed{}, trusting(ca), through(dns))
	ref := reference(t, "https://charts.example.com/stable/web-1.2.3.tgz")
	t.Run("N13 the address that was judged", func(t *testing.T) {
		_, err := readArchive(t.Context(), client, ref)
		wantCode(t, err, builtins.OK)
		if n, dialed := dns.Lookups("charts.example.com"), dns.Dialed(); n != 1 || fmt.Sprint(dialed) != "[203.0.113.7:443]" {
			t.Errorf("%d lookups, dialled %v", n, dialed)
		}
	})
	t.Run("N13 another answer", func(t *testing.T) {
		client.Close()
		w.Forget()
		_, err := readArchive(t.Context(), client, ref)
		wantCode(t, err, builtins.SourceDenied)
		if len(dns.Dialed()) != 1 || len(w.Requests()) != 0 {
			t.Errorf("dialled %v", dns.Dialed())
		}
	})
	t.Run("N13 several addresses", func(t *testing.T) {
		dns.Name("mixed.example.com", "127.0.0.1", "169.254.169.254", "203.0.113.9", "203.0.113.7")
		_, err := readArchive(t.Context(), client, reference(t, "https://mixed.example.com/stable/web-1.2.3.tgz"))
		wantCode(t, err, builtins.Unavailable) // reached, under a certificate of another name
		if got := fmt.Sprint(dns.Dialed()[1:]); got != "[203.0.113.9:443 203.0.113.7:443]" {
			t.Errorf("dialled %s", got)
		}
	})
}

func TestN14Token(t *testing.T) {
	t.Parallel()
	t.Run("N14 twin", func(t *testing.T) {
		ca := registry.NewCA()
		w := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot", "word"))
		client := newClient(t, secure(w.Server).with(w.Server, "robot", "word"), trusting(ca))
		for range 2 {
			got, err := readArchive(t.Context(), client, w.byTag(t))
			wantBytes(t, got, err, archive)
		}
		if n := w.Count("GET", "/token"); n != 1 {
			t.Errorf("asked for %d tokens, want 1", n)
		}
		for _, r := range w.Requests() {
			if r.Path == "/token" && !strings.Contains(r.Query, "scope=repository%3Acharts%2Fweb%3Apull&") {
				t.Errorf("query is %q", r.Query)
			}
		}
	})
	t.Run("N14 wrong password", func(t *testing.T) {
		ca := registry.NewCA()
		for _, how := range []registry.Option{registry.WithToken("robot", "word"), registry.WithBasic("robot", "word")} {
			w := newWorld(t, registry.WithTLS(ca.Config()), how)
			for _, hosts := range []listed{secure(w.Server), secure(w.Server).with(w.Server, "robot", "wrong")} {
				_, err := readArchive(t.Context(), newClient(t, hosts, trusting(ca)), w.byTag(t))
				wantCode(t, err, builtins.Denied)
			}
		}
	})
	for name, answer := range map[string]registry.Rule{
		"refuses":         {Status: 401, Body: []byte("no")},
		"gives a useless": {Body: []byte(`{"token": "useless"}`)},
	} {
		t.Run("N14 foreign realm "+name, func(t *testing.T) {
			_, away, ca := tlsPair(t)
			home := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot", "word"), registry.WithRealm(away.URL()+"/token"))
			answer.Path = "/token"
			away.Rule(answer)
			hosts := secure(home.Server, away.Server).with(home.Server, "robot", "word").with(away.Server, "other", "secret")
			_, err := readArchive(t.Context(), newClient(t, hosts, trusting(ca)), home.byTag(t))
			wantCode(t, err, builtins.Denied)
			wantNoAuthorization(t, away.Server)
		})
	}
	t.Run("N14 foreign realm twin: a public registry", func(t *testing.T) {
		_, away, ca := tlsPair(t)
		home := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("", ""), registry.WithRealm(away.URL()+"/token"))
		away.Rule(registry.Rule{Path: "/token", Handler: func(rw http.ResponseWriter, r *http.Request) { home.ServeHTTP(rw, r) }})
		got, err := readArchive(t.Context(), newClient(t, secure(home.Server, away.Server), trusting(ca)), home.byTag(t))
		wantBytes(t, got, err, archive)
	})
	for name, c := range map[string]struct {
		realm string
		want  builtins.Code
	}{
		"over http":     {"http://203.0.113.7/token", builtins.SourceDenied},
		"not permitted": {"https://169.254.169.254/token", builtins.SourceDenied},
		"no URL":        {"http://[", builtins.Unavailable},
		"relative":      {"token", builtins.SourceDenied},
	} {
		t.Run("N14 realm "+name, func(t *testing.T) {
			ca := registry.NewCA()
			w := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot", "word"), registry.WithRealm(c.realm))
			_, err := readArchive(t.Context(), newClient(t, secure(w.Server).with(w.Server, "robot", "word"), trusting(ca)), w.byTag(t))
			wantCode(t, err, c.want)
		})
	}
	for name, c := range map[string]struct {
		rule registry.Rule
		want builtins.Code
	}{
		"of 1 GiB":        {registry.Rule{Body: []byte(`{"token": "x"}`), Header: map[string]string{"Content-Length": "1073741824"}}, builtins.Unavailable},
		"endless":         {registry.Rule{Body: []byte(`          `), Repeat: -1}, builtins.Unavailable},
		"no JSON":         {registry.Rule{Body: []byte(`<html>`)}, builtins.Unavailable},
		"absent":          {registry.Rule{Body: []byte(`{}`)}, builtins.Unavailable},
		"with line break": {registry.Rule{Body: []byte(`{"token": "a\r\nHost: b"}`)}, builtins.Unavailable},
		"404":             {registry.Rule{Status: 404, Body: []byte("x")}, builtins.Unavailable},
		"503":             {registry.Rule{Status: 503, Body: []byte("x")}, builtins.Unavailable},
		"403":             {registry.Rule{Status: 403, Body: []byte("x")}, builtins.Denied},
	} {
		t.Run("N14 token "+name, func(t *testing.T) {
			ca := registry.NewCA()
			w := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot", "word"))
			c.rule.Path = "/token"
			w.Rule(c.rule)
			_, err := readArchive(t.Context(), newClient(t, secure(w.Server).with(w.Server, "robot", "word"), trusting(ca)), w.byTag(t))
			wantCode(t, err, c.want)
		})
	}
}

// A token that the registry does not take any more is replaced, once.
func TestTokenReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registry.WithToken("", ""))
	client := newClient(t, insecure(w.Server))
	if _, err := readArchive(t.Context(), client, w.byTag(t)); err != nil {
		t.Fatal(err)
	}
	w.Rule(registry.Rule{Path: "/v2/*/manifests/*", Nth: 1, Status: 401, Body: []byte("x"),
		Header: map[string]string{"WWW-Authenticate": `Bearer realm="` + w.URL() + `/token"`}})
	got, err := readArchive(t.Context(), client, w.byTag(t))
	wantBytes(t, got, err, archive)
	if n := w.Count("GET", "/token"); n != 2 {
		t.Errorf("asked for %d tokens, want 2", n)
	}
}

func TestN15TLS(t *testing.T) {
	t.Parallel()
	ca := registry.NewCA()
	old := ca.Config()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for name, config := range map[string]*tls.Config{
		"self-signed": registry.NewCA().Config(),
		"expired":     ca.ConfigUntil(time.Now().Add(-time.Minute), "127.0.0.1"),
		"other name":  ca.ConfigUntil(time.Now().Add(time.Hour), "other.example.com"),
		"1.1":         old,
	} {
		w := newWorld(t, registry.WithTLS(config))
		other := newWorld(t, registry.WithTLS(config))
		client := newClient(t, secure(w.Server, other.Server), trusting(ca))
		freed := newClient(t, insecure(w.Server).and(secure(other.Server)), trusting(ca))
		for way := range w.everyWay(t) {
			t.Run("N15 "+name+" "+way, func(t *testing.T) {
				_, err := readArchive(t.Context(), client, w.everyWay(t)[way])
				wantCode(t, err, builtins.Unavailable)
				want := builtins.OK
				if name == "1.1" {
					want = builtins.Unavailable // freed of the certificate, not of TLS
				}
				_, err = readArchive(t.Context(), freed, w.everyWay(t)[way])
				wantCode(t, err, want)
				_, err = readArchive(t.Context(), freed, other.everyWay(t)[way])
				wantCode(t, err, builtins.Unavailable)
			})
		}
	}
	t.Run("N15 twin", func(t *testing.T) {
		w := newWorld(t, registry.WithTLS(ca.Config()))
		for _, ref := range w.everyWay(t) {
			_, err := readArchive(t.Context(), newClient(t, secure(w.Server), trusting(ca)), ref)
			wantCode(t, err, builtins.OK)
		}
	})
}

func TestN16PlainHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dns := registry.NewNet()
	for _, name := range []string{"charts.example.com", "open.example.com"} {
		dns.Name(name, "203.0.113.7")
	}
	for _, at := range []string{"203.0.113.7:80", "10.0.0.7:80", "192.168.1.7:80", "203.0.113.7:8080"} {
		dns.Route(at, w.Server)
	}
	client := newClient(t, listed{"charts.example.com": {}, "open.example.com": {Insecure: true}, "open.example.com:8080": {}}, through(dns))
	for host, want := range map[string]builtins.Code{
		"open.example.com":      builtins.OK,
		"open.example.com:80":   builtins.OK,
		"open.example.com:8080": builtins.SourceDenied,
		"charts.example.com":    builtins.SourceDenied,
		"unlisted.example.com":  builtins.SourceDenied,
		"10.0.0.7":              builtins.SourceDenied,
		"192.168.1.7":           builtins.SourceDenied,
		"127.0.0.1":             builtins.SourceDenied,
	} {
		t.Run("N16 "+host, func(t *testing.T) {
			w.Forget()
			_, err := readArchive(t.Context(), client, reference(t, "http://"+host+"/stable/web-1.2.3.tgz"))
			wantCode(t, err, want)
			_, err = readArchive(t.Context(), client, reference(t, entryOf("http://"+host+"/stable", "web", "1.2.3")))
			wantCode(t, err, want)
			if want != builtins.OK && len(w.Requests()) > 0 {
				t.Error("a request arrived")
			}
		})
	}
	t.Run("N16 port 80 listed by its number", func(t *testing.T) {
		client := newClient(t, listed{"charts.example.com:80": {Insecure: true}}, through(dns))
		for _, ref := range []string{"http://charts.example.com/stable/web-1.2.3.tgz", "oci://charts.example.com:80/charts/web:1.2.3"} {
			_, err := readArchive(t.Context(), client, reference(t, ref))
			wantCode(t, err, builtins.OK)
		}
	})
}

func TestN17NoReference(t *testing.T) {
	t.Parallel()
	dns := registry.NewNet()
	client := newClient(t, listed{}, through(dns))
	digest := "sha256:" + strings.Repeat("0", 64)
	for _, v := range []any{
		"https://robot:word@charts.example.com/web.tgz", "https://charts.example.com/a/../web.tgz", "https://charts.example.com//web.tgz",
		"https://charts.example.com/a%2fweb.tgz", "https://chärts.example.com/web.tgz", "ftp://charts.example.com/web.tgz", "", 7.0, nil,
	} {
		t.Run(fmt.Sprintf("N17 %v", v), func(t *testing.T) {
			_, err := client.Resolve(t.Context(), chartref.FromValue(v))
			wantCode(t, err, builtins.InvalidReference)
		})
	}
	for name, d := range map[string]string{"sha512": "sha512:" + strings.Repeat("0", 128), "upper case": strings.ToUpper(digest), "63 digits": digest[:len(digest)-1]} {
		t.Run("N18 "+name, func(t *testing.T) {
			_, err := client.Resolve(t.Context(), chartref.Parse("oci://reg.example.com/charts/web@"+d))
			wantCode(t, err, builtins.InvalidReference)
		})
	}
	if len(dns.Dialed()) > 0 {
		t.Errorf("dialled %v", dns.Dialed())
	}
}

func TestN19OneCanonicalForm(t *testing.T) {
	t.Parallel()
	ca := registry.NewCA()
	w := newWorld(t, registry.WithTLS(ca.Config("reg.example.com")), registry.WithBasic("robot", "word"))
	dns := registry.NewNet()
	dns.Name("reg.example.com", "203.0.113.7")
	dns.Route("203.0.113.7:443", w.Server)
	client := newClient(t, listed{"reg.example.com": {Username: "robot", Password: "word"}}, trusting(ca), through(dns))
	for _, ref := range []string{"oci://REG.example.com:443/charts/web:1.2.3", "oci://reg.example.com/charts/web:1.2.3", "https://REG.example.com:443/stable/web-1.2.3.tgz"} {
		t.Run("N19 "+ref, func(t *testing.T) {
			got, err := readArchive(t.Context(), client, reference(t, ref))
			wantBytes(t, got, err, archive)
		})
	}
}

// TestN23Canaries looks for secrets in every error that the world can provoke.
func TestN23Canaries(t *testing.T) {
	t.Parallel()
	const canary = "CANARY"
	ca := registry.NewCA()
	w := newWorld(t, registry.WithTLS(ca.Config()), registry.WithToken("robot-"+canary, "word-"+canary))
	client := newClient(t, secure(w.Server).with(w.Server, "robot-"+canary, "word-"+canary), trusting(ca),
		limits(func(l *builtins.Limits) { l.Silence = builtins.Duration(100 * time.Millisecond) }))
	refs := w.everyWay(t)
	refs["query"] = reference(t, w.URL()+"/stable/web-1.2.3.tgz?token="+canary)
	hide := map[string]string{"Set-Cookie": canary}
	for name, rule := range map[string]registry.Rule{
		"404": {Status: 404, Body: []byte(canary), Header: hide}, "401": {Status: 401, Body: []byte(canary)}, "503": {Status: 503, Body: []byte(canary), Header: hide},
		"userinfo":     {Status: 302, Body: []byte("x"), Header: map[string]string{"Location": "https://robot:" + canary + "@127.0.0.1/x"}},
		"query":        {Status: 302, Body: []byte("x"), Header: map[string]string{"Location": "http://203.0.113.7/x?token=" + canary}},
		"broken URL":   {Status: 302, Body: []byte("x"), Header: map[string]string{"Location": "https://robot:" + canary + "@[/x"}},
		"realm":        {Status: 401, Body: []byte("x"), Header: map[string]string{"WWW-Authenticate": `Bearer realm="https://x:` + canary + `@127.0.0.1/token?x=` + canary + `"`}},
		"broken realm": {Status: 401, Body: []byte("x"), Header: map[string]string{"WWW-Authenticate": `Bearer realm="https://` + canary + `@["`}},
		"token":        {Body: []byte(`{"token": "CANARY` + "\\n" + `"}`)},
		"reset":        {Reset: true}, "cut": {CutAfter: 3}, "hang": {Hang: true},
		"large": {Body: []byte("x"), Header: map[string]string{"Content-Length": "1099511627776"}},
	} {
		for way, ref := range refs {
			if name == "token" && ref.Scheme != "oci" && ref.Kind == chartref.URL {
				continue // which takes no token
			}
			t.Run("N23 "+name+" "+way, func(t *testing.T) {
				fresh := newClient(t, secure(w.Server).with(w.Server, "robot-"+canary, "word-"+canary), trusting(ca),
					limits(func(l *builtins.Limits) { l.Silence = builtins.Duration(100 * time.Millisecond) }))
				defer w.Rule(rule)()
				_, err := readArchive(t.Context(), fresh, ref)
				if err == nil {
					t.Fatal("no error to look at")
				}
				if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, canary) {
					t.Errorf("the error tells: %s", text)
				}
			})
		}
	}
	for _, ref := range refs {
		if _, err := readArchive(t.Context(), client, ref); err != nil {
			t.Errorf("N23 twin: %v", err)
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
