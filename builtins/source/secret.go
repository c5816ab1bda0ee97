// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/base64"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/chartseal/chartseal/builtins"
)

// A server knows what it was sent and may send it back, in a header, a URL or a
// document. So the secrets of a request are struck from every reason.
type secrets []string

// Shorter ones would strike ordinary words, and are hardly secret.
const (
	minPassword = 4
	minQuery    = 8
)

// credentials are what is secret in a value of the Authorization header.
func credentials(authorization string) secrets {
	_, value, _ := strings.Cut(authorization, " ")
	found := secrets{value}
	if decoded, err := base64.StdEncoding.DecodeString(value); err == nil {
		_, password, _ := strings.Cut(string(decoded), ":")
		found = append(found, password)
	}
	return slices.DeleteFunc(found, func(s string) bool { return len(s) < minPassword })
}

// queryValues are secret because a token may be among them.
func queryValues(u *url.URL) secrets {
	var found secrets
	for _, values := range u.Query() {
		found = append(found, values...)
	}
	return slices.DeleteFunc(found, func(s string) bool { return len(s) < minQuery })
}

// from strikes the secrets from the reason of err.
func (s secrets) from(err error) error {
	var coded *builtins.Error
	if !errors.As(err, &coded) {
		return err
	}
	if text := s.fromText(coded.Reason); text != coded.Reason {
		return builtins.Errorf(coded.Code, "%s", text)
	}
	return err
}

func (s secrets) fromText(text string) string {
	for _, secret := range s {
		for _, form := range forms(secret) {
			if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
				text = regexp.MustCompile("(?i)"+regexp.QuoteMeta(form)).ReplaceAllLiteralString(text, "…")
			}
		}
	}
	return text
}

// forms are how a secret is written in a reason: as it is, without padding,
// escaped for URLs, quoted.
func forms(secret string) []string {
	quoted := strconv.Quote(secret)
	return []string{
		secret, quoted[1 : len(quoted)-1], url.QueryEscape(secret), url.PathEscape(secret), strings.TrimRight(secret, "="),
	}
}

// secrets are what the registry was sent to prove who asks.
func (r *repository) secrets() secrets {
	return append(credentials(r.basic), credentials(r.remembered())...)
}

// chart reads the manifest of a chart.
func (r *repository) chart(m manifest) (chartManifest, error) {
	chart, err := parseChart(m)
	return chart, r.secrets().from(err)
}

// fromPlaces strikes the secrets from all that was wrong with places and with
// what they hold.
func (s secrets) fromPlaces(places []builtins.SignaturePlace) {
	for i := range places {
		places[i].Err = s.from(places[i].Err)
		for j := range places[i].Signatures {
			places[i].Signatures[j].Err = s.from(places[i].Signatures[j].Err)
		}
	}
}
