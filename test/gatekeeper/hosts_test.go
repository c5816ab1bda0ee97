// SPDX-License-Identifier: Apache-2.0

package gatekeeper

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/test/registry"
)

// S18: whoever writes references learns nothing of the network. What is not
// listed is not looked up, not dialled, and refused in one text; of what is
// listed a port that is closed and a server that fails are told alike.
func TestS18HostsOfTheNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	w.net.Name("metadata.google.internal", "169.254.169.254")
	w.net.Name("kubernetes.default.svc", "10.96.0.1")
	w.net.Name("closed.example.com", "198.51.100.1")
	w.net.Name("failing.example.com", "203.0.113.9")
	w.net.Name("unlisted.example.com", "203.0.113.7")
	w.net.Route("203.0.113.9:443", registry.New(t)) // speaks no TLS
	before := len(w.net.Dialed())
	unlisted := []string{
		"169.254.169.254", "169.254.169.254:80", "metadata.google.internal", "[fd00:ec2::254]", "[::ffff:169.254.169.254]",
		"10.96.0.1", "10.96.0.1:6443", "kubernetes.default.svc", "127.0.0.1:1", w.srv.Host(), "[::1]:443", "unlisted.example.com", "nowhere.example.com",
	}
	var texts []string
	for _, scheme := range []string{"https://%s/latest/meta-data/web-1.2.3.tgz", "oci://%s/charts/web:1.2.3"} {
		for _, host := range unlisted {
			t.Run("S18 "+fmt.Sprintf(scheme, host), func(t *testing.T) {
				k := signedBy(fmt.Sprintf(scheme, host))
				_, body := exchange(t, http.MethodPost, w.url, strings.NewReader(requestOf(t, k)))
				if code := parse(t, body)[k]; code != "source_denied" {
					t.Errorf("got %s: %s", code, body)
				}
				texts = append(texts, reasonIn(t, body, host))
			})
		}
	}
	slices.Sort(texts)
	if texts = slices.Compact(texts); len(texts) != 1 {
		t.Errorf("texts differ: %q", texts)
	}
	if dialed := w.net.Dialed()[before:]; len(dialed) > 0 {
		t.Errorf("dialled %v", dialed)
	}
	for _, name := range []string{"metadata.google.internal", "kubernetes.default.svc", "unlisted.example.com", "nowhere.example.com"} {
		if n := w.net.Lookups(name); n > 0 {
			t.Errorf("%s was looked up %d times", name, n)
		}
	}
	t.Run("S18 closed and failing", func(t *testing.T) { undecidedAlike(t, w) })
	t.Run("S18 twin", func(t *testing.T) {
		_, body := exchange(t, http.MethodPost, w.url, strings.NewReader(requestOf(t, signedBy(stable))))
		if parse(t, body)[signedBy(stable)] != "ok" || len(w.net.Dialed()) == before {
			t.Error(body)
		}
	})
}

// reasonIn is the text of a verdict, without the host that it is about.
func reasonIn(t *testing.T, body, host string) string {
	t.Helper()
	var r struct {
		Response struct {
			Items []struct{ Value struct{ Reason string } }
		}
	}
	succeeds(t, json.Unmarshal([]byte(body), &r))
	if len(r.Response.Items) != 1 {
		t.Fatalf("%d items", len(r.Response.Items))
	}
	return strings.ReplaceAll(r.Response.Items[0].Value.Reason, strings.TrimSuffix(host, ":443"), "HOST")
}

func undecidedAlike(t *testing.T, w *world) {
	var texts []string
	for _, host := range []string{"closed.example.com", "failing.example.com", "lost.example.com"} { // the last has no address
		_, body := exchange(t, http.MethodPost, w.url, strings.NewReader(requestOf(t, signedBy("https://"+host+"/web-1.2.3.tgz"))))
		texts = append(texts, strings.ReplaceAll(body, host, "HOST"))
	}
	if !strings.Contains(texts[0], `"systemError":"1 of 1 keys have no verdict: helm.verify_prov https://HOST/web-1.2.3.tgz: unavailable"`) || texts[0] != texts[1] || texts[1] != texts[2] {
		t.Errorf("texts are %q", texts)
	}
}
