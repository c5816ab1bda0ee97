// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/test/registry"
)

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
