// SPDX-License-Identifier: Apache-2.0

package external

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/provider"
)

const asked = `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["{\"check\":\"cosign.verify\",\"opts\":{\"public_keys\":[\"none\"]},\"ref\":\"web.tgz\"}"]}}`

// Whoever else is on this machine gets no answer: the provider has the
// credentials of the configuration.
func TestOnlyThisProcessIsAnswered(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	p, err := newProvider(config.Default(), discard, nil)
	succeeds(t, err)
	shown, err := newIdentity()
	succeeds(t, err)
	address, err := serve(p, shown, discard)
	succeeds(t, err)
	at, err := url.Parse(address)
	succeeds(t, err)
	for name, test := range map[string]struct {
		path     string
		answered bool
	}{"the path": {at.Path, true}, "the provider's": {provider.Path, false}, "another": {"/" + rand.Text() + provider.Path, false}} {
		t.Run(name, func(t *testing.T) {
			at.Path = test.path
			body := ask(t, at.String(), shown)
			if answered := strings.Contains(body, `"code":"invalid_options"`); answered != test.answered {
				t.Errorf("answered is %t: %s", answered, body)
			}
		})
	}
}

func ask(t *testing.T, url string, trusted *identity) string {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted.certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Post(url, "application/json", strings.NewReader(asked))
	succeeds(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	succeeds(t, err)
	return string(body)
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
