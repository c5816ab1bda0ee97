// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

// rawServer writes exactly what answer says and ends the connection. It gives
// its host and port.
func rawServer(t testing.TB, answer func(*http.Request) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = conn.Write([]byte(answer(r)))
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	return l.Addr().String()
}

// TestN23Echo sends back, in every part of an answer, what the request said in
// confidence.
func TestN23Echo(t *testing.T) {
	t.Parallel()
	const password, query = `CANARYpw"+==`, "QUERYCANARY"
	basic := strings.TrimRight(base64.StdEncoding.EncodeToString([]byte("robot:"+password)), "=")
	index := "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [%s]\n    digest: %s\n"
	for name, format := range map[string]string{
		"no HTTP":           "%[1]s\r\n\r\n",
		"status":            "HTTP/1.1 %[1]s\r\n\r\n",
		"reason":            "HTTP/1.1 500 %[1]s\r\nContent-Length: 0\r\n\r\n",
		"header":            "HTTP/1.1 200 OK\r\n%[1]s\r\n\r\n",
		"length":            "HTTP/1.1 200 OK\r\nContent-Length: %[1]s\r\n\r\n",
		"transfer encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: %[1]s\r\n\r\n",
		"content coding":    "HTTP/1.1 200 OK\r\nContent-Encoding: %[1]s\r\nContent-Length: 1\r\n\r\nx",
		"type":              "HTTP/1.1 200 OK\r\nContent-Type: %[1]s\r\nContent-Length: 2\r\n\r\n{}",
		"digest":            "HTTP/1.1 200 OK\r\nDocker-Content-Digest: sha256:%[1]s\r\nContent-Length: 2\r\n\r\n{}",
		"chunk":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%[1]s\r\n",
		"host":              "HTTP/1.1 302 x\r\nLocation: https://%[1]s/\r\nContent-Length: 0\r\n\r\n",
		"scheme":            "HTTP/1.1 302 x\r\nLocation: %[1]s://h/\r\nContent-Length: 0\r\n\r\n",
		"path":              "HTTP/1.1 302 x\r\nLocation: http://127.0.0.9/%[1]s\r\nContent-Length: 0\r\n\r\n",
		"path at home":      "HTTP/1.1 302 x\r\nLocation: /%[1]s\r\nContent-Length: 0\r\n\r\n",
		"realm":             "HTTP/1.1 401 x\r\nWWW-Authenticate: Bearer realm=\"https://%[1]s/%[1]s\"\r\nContent-Length: 0\r\n\r\n",
		"index":             "HTTP/1.1 200 OK\r\nContent-Length: %[2]d\r\n\r\n%[3]s",
	} {
		t.Run("N23 echo in the "+name, func(t *testing.T) {
			t.Parallel()
			var part func(*http.Request) string
			host := rawServer(t, func(r *http.Request) string {
				text := fmt.Sprintf(index, part(r), part(r))
				answer := fmt.Sprintf(format, part(r), len(text), text)
				if i := strings.Index(answer, "%!(EXTRA"); i >= 0 {
					answer = answer[:i]
				}
				return answer
			})
			hosts := listed{host: source.Registry{Insecure: true, Username: "robot", Password: password}}
			for what, echo := range map[string]func(*http.Request) string{
				"authorization": func(r *http.Request) string { return r.Header.Get("Authorization") },
				"credentials":   func(r *http.Request) string { _, c, _ := strings.Cut(r.Header.Get("Authorization"), " "); return c },
				"unpadded": func(r *http.Request) string {
					_, c, _ := strings.Cut(r.Header.Get("Authorization"), " ")
					return strings.TrimRight(c, "=")
				},
				"password": func(r *http.Request) string { _, p, _ := r.BasicAuth(); return p },
				"query":    func(r *http.Request) string { return r.URL.RawQuery },
				"token":    func(r *http.Request) string { return r.URL.Query().Get("token") },
			} {
				part = echo
				for _, ref := range []any{
					"http://" + host + "/web-1.2.3.tgz?token=" + query,
					"oci://" + host + "/charts/web:1.2.3",
					entryOf("http://"+host+"/stable", "web", "1.2.3"),
				} {
					client := newClient(t, hosts, func(c *source.Config) { c.Resolver = registry.NewNet() })
					_, err := readArchive(t.Context(), client, reference(t, ref))
					if err == nil {
						continue
					}
					if builtins.CodeOf(err) == builtins.Internal {
						t.Errorf("%s: %v has no code", what, err)
					}
					wantNoSecret(t, what, err, password, basic, query)
				}
			}
		})
	}
	t.Run("N23 twin", func(t *testing.T) {
		w := newWorld(t, registry.WithBasic("robot", password))
		client := newClient(t, insecure(w.Server).with(w.Server, "robot", password))
		got, err := readArchive(t.Context(), client, w.byURL(t))
		wantBytes(t, got, err, archive)
	})
}

func wantNoSecret(t testing.TB, what string, err error, secrets ...string) {
	t.Helper()
	for _, secret := range append(secrets, "CANARY") {
		if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(secret)) {
			t.Errorf("%s: %q is in %v", what, secret, err)
		}
	}
}

// Words of ours say what is wrong with a connection.
func TestCauses(t *testing.T) {
	t.Parallel()
	ca, other := registry.NewCA(), registry.NewCA()
	w := newWorld(t, registry.WithTLS(ca.Config()))
	for name, c := range map[string]struct {
		client *source.Client
		url    string
		want   string
	}{
		"authority": {newClient(t, secure(w.Server), trusting(other)), w.URL(), "no authority that is trusted signed its certificate"},
		"refused":   {newClient(t, listed{"127.0.0.1:1": {}}), "https://127.0.0.1:1", "connection refused"},
		"name":      {newClient(t, nil, through(registry.NewNet())), "https://none.example.com", "its name does not resolve"},
	} {
		_, err := readArchive(t.Context(), c.client, reference(t, c.url+"/stable/web-1.2.3.tgz"))
		wantCode(t, err, builtins.Unavailable)
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TestN9Endless has answers that end when the connection does, as whole ones
// and cut ones do alike.
func TestN9Endless(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	manifest := string(w.Manifest("charts/web", "1.2.3"))
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n"
	serve := func(t testing.TB, length, cut bool) (*source.Client, string) {
		host := rawServer(t, func(r *http.Request) string {
			body := string(archive)
			switch {
			case strings.Contains(r.URL.Path, "/manifests/"):
				return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(manifest), manifest)
			case strings.HasSuffix(r.URL.Path, "/pinned/index.yaml"):
				index := indexOf("web-1.2.3.tgz", "")
				return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(index), index)
			case strings.HasSuffix(r.URL.Path, "index.yaml"):
				body = string(indexOf("web-1.2.3.tgz", ""))
			case strings.HasSuffix(r.URL.Path, ".prov"):
				body = string(prov)
			}
			more := "Connection: close\r\n\r\n"
			if length {
				more = fmt.Sprintf("Content-Length: %d\r\n%s", len(body), more)
			}
			if cut {
				body = body[:len(body)-1]
			}
			return head + more + body
		})
		return newClient(t, listed{host: {Insecure: true}}), host
	}
	for name, c := range map[string]struct {
		ref                      func(host string) any
		read                     reading
		whole, cut, announcedCut builtins.Code
	}{
		"blob":              {func(h string) any { return "oci://" + h + "/charts/web:1.2.3" }, readArchive, builtins.OK, builtins.Unavailable, builtins.Unavailable},
		"archive by index":  {func(h string) any { return entryOf("http://"+h+"/pinned", "web", "1.2.3") }, readArchive, builtins.OK, builtins.Unavailable, builtins.Unavailable},
		"archive by itself": {func(h string) any { return "http://" + h + "/web-1.2.3.tgz" }, readArchive, builtins.Unavailable, builtins.Unavailable, builtins.Unavailable},
		"index":             {func(h string) any { return entryOf("http://"+h+"/stable", "web", "1.2.3") }, readArchive, builtins.Unavailable, builtins.Unavailable, builtins.Unavailable},
		"provenance":        {func(h string) any { return "http://" + h + "/web-1.2.3.tgz" }, readProv, builtins.Unavailable, builtins.Unavailable, builtins.Unavailable},
	} {
		t.Run("N9 "+name, func(t *testing.T) {
			for _, a := range []struct {
				length, cut bool
				want        builtins.Code
			}{{true, false, builtins.OK}, {true, true, c.announcedCut}, {false, false, c.whole}, {false, true, c.cut}} {
				client, host := serve(t, a.length, a.cut)
				_, err := c.read(t.Context(), client, reference(t, c.ref(host)))
				wantCode(t, err, a.want)
			}
		})
	}
}

// TestN23EchoAmongSignatures is about a registry that serves the chart and says
// in the answers about its signatures what it was told in confidence.
func TestN23EchoAmongSignatures(t *testing.T) {
	t.Parallel()
	const password = "CANARYpassword"
	w := newWorld(t, registry.WithBasic("robot", password))
	digest := w.PushChart("charts/web", "1.2.3", archive, nil)
	echo := func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", r.Header.Get("Authorization"))
		_, _ = fmt.Fprintf(rw, `{"mediaType": %q}`, r.Header.Get("Authorization"))
	}
	for _, path := range []string{"/v2/*/referrers/*", "/v2/*/manifests/sha256-*"} {
		w.Rule(registry.Rule{Path: path, Handler: echo})
	}
	client := newClient(t, insecure(w.Server).with(w.Server, "robot", password))
	a, err := client.Resolve(t.Context(), reference(t, "oci://"+w.Host()+"/charts/web@"+digest))
	if err != nil {
		t.Fatal(err)
	}
	basic := base64.StdEncoding.EncodeToString([]byte("robot:" + password))
	for _, place := range a.(builtins.Registered).Signed(t.Context(), chartref.Ref{}).Places {
		if place.Err == nil {
			t.Errorf("%s: an echo passes for an answer", place.Name)
			continue
		}
		wantNoSecret(t, place.Name, place.Err, password, strings.TrimRight(basic, "="))
	}
}
