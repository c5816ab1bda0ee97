// SPDX-License-Identifier: Apache-2.0

package external

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/config"
)

const asked = `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["{\"check\":\"cosign.verify\",\"opts\":{\"public_keys\":[\"none\"]},\"ref\":\"web.tgz\"}"]}}`

// Whoever else is on this machine gets no answer: the provider has the
// credentials of the configuration.
func TestOnlyThisProcessIsAnswered(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	p, err := newProvider(config.Default(), discard, nil)
	succeeds(t, err)
	ours, err := newIdentity()
	succeeds(t, err)
	other, err := newIdentity()
	succeeds(t, err)
	url, err := serve(p, ours, discard)
	succeeds(t, err)
	for name, test := range map[string]struct {
		shown    *identity
		answered bool
	}{"ours": {ours, true}, "another's": {other, false}, "none": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			body, err := ask(t, url, ours, test.shown)
			if answered := err == nil && strings.Contains(body, `"code":"invalid_options"`); answered != test.answered {
				t.Errorf("answered is %t (%v): %s", answered, err, body)
			}
		})
	}
}

func ask(t *testing.T, url string, trusted, shown *identity) (string, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted.certificate)
	c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	if shown != nil {
		pair, err := tls.X509KeyPair(shown.certificate, shown.key)
		succeeds(t, err)
		c.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: c}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Post(url, "application/json", strings.NewReader(asked))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// A file that is made for a webhook's hurry gives a check its time here; one
// that gives more keeps it.
func TestTimeEnough(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{time.Second: leastTime, time.Minute: time.Minute} {
		c := config.Default()
		c.Limits.Reference, c.Gatekeeper.Background = builtins.Duration(given), builtins.Duration(given)
		succeeds(t, Answer(c, slog.New(slog.DiscardHandler)))
		if time.Duration(c.Limits.Reference) != want || time.Duration(c.Gatekeeper.Background) != want {
			t.Errorf("of %s become %s and %s, want %s", given, time.Duration(c.Limits.Reference), time.Duration(c.Gatekeeper.Background), want)
		}
	}
}

func succeeds(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
