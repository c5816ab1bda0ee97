// SPDX-License-Identifier: Apache-2.0

package load_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chartseal/chartseal/test/bench/load"
)

// A provider says yes to every key but "no", and remembers keys.
type provider struct {
	mu   sync.Mutex
	keys map[string]int
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Request struct{ Keys []string } }
	if r.TLS.PeerCertificates == nil || json.NewDecoder(r.Body).Decode(&asked) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range asked.Request.Keys {
		p.keys[key]++
		if key == "no" {
			_, _ = w.Write([]byte(`"verified":false`))
		} else {
			_, _ = w.Write([]byte(key + `"verified":true`))
		}
	}
}

// serve starts a provider and gives the plan that asks it.
func serve(t *testing.T) (*provider, load.Plan) {
	t.Helper()
	p := &provider{keys: map[string]int{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(p)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}, ClientAuth: tls.RequireAnyClientCert}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	certFile, keyFile := filepath.Join(t.TempDir(), "crt"), filepath.Join(t.TempDir(), "key")
	for name, block := range map[string]pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(&block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p, load.Plan{URL: srv.URL, CA: certFile, Cert: certFile, Key: keyFile, Connections: 3, Want: `"verified":true`, Never: `"verified":false`}
}

func run(t *testing.T, p load.Plan) load.Result {
	t.Helper()
	r, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Dialled != p.Connections {
		t.Errorf("%d connections were made, want %d", r.Dialled, p.Connections)
	}
	return r
}

func TestWarmAsksInTurnUntilItsBound(t *testing.T) {
	asked, plan := serve(t)
	plan.Mode, plan.Requests, plan.Keys, plan.First = load.Warm, 10, [][]string{{"a"}, {"b", "c"}}, []string{"first"}
	if r := run(t, plan); r.Requests != 10 || r.Errors != 0 || r.Answers != 2 || r.P50 > r.P95 || r.P99 > r.Max || r.Max == 0 {
		t.Errorf("%+v", r)
	}
	if asked.keys["a"] != 5 || asked.keys["b"] != 5 || asked.keys["c"] != 5 || asked.keys["first"] != 3 {
		t.Errorf("asked for %v", asked.keys)
	}
}

func TestWarmEndsInTime(t *testing.T) {
	_, plan := serve(t)
	plan.Mode, plan.Seconds, plan.Keys = load.Warm, 0.05, [][]string{{"a"}}
	if r := run(t, plan); r.Requests == 0 || r.Errors != 0 || r.Seconds < 0.05 {
		t.Errorf("%+v", r)
	}
}

func TestColdAsksOnce(t *testing.T) {
	asked, plan := serve(t)
	plan.Mode, plan.Keys = load.Cold, [][]string{{"a"}, {"b"}, {"c"}, {"d"}, {"e"}}
	if r := run(t, plan); r.Requests != 5 || r.Answers != 5 || r.Errors != 0 {
		t.Errorf("%+v", r)
	}
	if len(asked.keys) != 5 || asked.keys["a"] != 1 {
		t.Errorf("asked for %v", asked.keys)
	}
}

func TestHerdAsksFromEveryConnection(t *testing.T) {
	asked, plan := serve(t)
	plan.Mode, plan.Keys, plan.Connections = load.Herd, [][]string{{"a"}, {"b"}}, 20
	if r := run(t, plan); r.Requests != 40 || r.Answers != 2 || r.Errors != 0 {
		t.Errorf("%+v", r)
	}
	if asked.keys["a"] != 20 || asked.keys["b"] != 20 {
		t.Errorf("asked for %v", asked.keys)
	}
}

func TestDistinctNeverRepeatsAKey(t *testing.T) {
	asked, plan := serve(t)
	plan.Mode, plan.Requests, plan.Keys, plan.Rate = load.Distinct, 9, [][]string{{"a{n}", "b{n}"}, {"{broken {n}"}}, 1000
	if r := run(t, plan); r.Requests != 9 || r.Errors != 0 || r.Seconds < 0.008 {
		t.Errorf("%+v", r)
	}
	if len(asked.keys) != 5*2+4 {
		t.Errorf("asked for %v", asked.keys)
	}
}

func TestWrongAnswersAreCounted(t *testing.T) {
	_, plan := serve(t)
	plan.Mode, plan.Keys = load.Cold, [][]string{{"a"}, {"a", "no"}, {"no"}}
	if r := run(t, plan); r.Requests != 3 || r.Errors != 2 || !strings.Contains(r.FirstError, "verified") {
		t.Errorf("%+v", r)
	}
	plan.Want, plan.Never = "", ""
	if r := run(t, plan); r.Errors != 0 {
		t.Errorf("with nothing wanted: %+v", r)
	}
}

func TestPlansThatCannotBeCarriedOut(t *testing.T) {
	_, plan := serve(t)
	plan.Mode, plan.Keys, plan.Requests = load.Warm, [][]string{{"a"}}, 1
	run(t, plan)
	for what, edit := range map[string]func(*load.Plan){
		"no bound":      func(p *load.Plan) { p.Requests = 0 },
		"no request":    func(p *load.Plan) { p.Keys = nil },
		"no connection": func(p *load.Plan) { p.Connections = 0 },
		"unknown mode":  func(p *load.Plan) { p.Mode = "hot" },
		"no server":     func(p *load.Plan) { p.URL = "https://127.0.0.1:1" },
	} {
		bad := plan
		edit(&bad)
		if r, err := bad.Run(t.Context()); err == nil {
			t.Errorf("%s: %+v", what, r)
		}
	}
}
