// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/maypok86/otter/v2"
)

// basic is the authorization that the configuration has for exactly this host
// and port, "" for none.
func (c *Client) basic(scheme, authority string) string {
	registry, _ := c.listing(scheme, authority)
	if registry.Username == "" && registry.Password == "" {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(registry.Username+":"+registry.Password))
}

type token struct {
	authorization string
	until         time.Time
}

// maxTokenBytes is how many bytes all tokens may take. A registry makes them as long
// as it likes, and there is one for each repository that somebody names.
const maxTokenBytes = 4 << 20

func newTokens() *otter.Cache[string, token] {
	return otter.Must(&otter.Options[string, token]{
		MaximumWeight: maxTokenBytes,
		Weigher:       func(view string, t token) uint32 { return weight(int64(overhead + len(view) + len(t.authorization))) },
	})
}

// A token that does not say how long it lives has a minute (distribution
// specification); one that is about to expire is not used any more.
const (
	tokenLife   = time.Minute
	tokenMargin = 5 * time.Second
	maxLife     = time.Hour
)

// remembered is an authorization that the registry took before.
func (r *repository) remembered() string {
	t, ok := r.client.tokens.GetIfPresent(r.view)
	if !ok || r.client.config.Clock().After(t.until) {
		return ""
	}
	return t.authorization
}

// authorize answers a challenge of the registry.
func (r *repository) authorize(ctx context.Context, answer http.Header) (string, error) {
	challenges := parseChallenges(answer.Values("WWW-Authenticate"))
	t := token{authorization: r.basic, until: r.client.config.Clock().Add(maxLife)}
	if bearer, ok := challenges["bearer"]; ok {
		var err error
		if t, err = r.token(ctx, bearer); err != nil {
			return "", err
		}
	} else if _, ok := challenges["basic"]; !ok || r.basic == "" {
		return "", builtins.Errorf(builtins.Denied, "%s wants credentials, and the configuration has none for it", r.home)
	}
	r.client.tokens.Set(r.view, t)
	return t.authorization, nil
}

// token gets one from the service that the registry names. The credentials go
// there only if it is the registry itself; any other service is asked without,
// as public registries want it. The scope is the one that we need, whatever
// the challenge proposes.
func (r *repository) token(ctx context.Context, bearer map[string]string) (token, error) {
	realm, err := url.Parse(bearer["realm"])
	if err != nil || bearer["realm"] == "" {
		return token{}, builtins.Errorf(builtins.Unavailable, "%s names no token service", r.home)
	}
	query := realm.Query()
	query.Set("scope", "repository:"+r.path+":pull")
	if service := bearer["service"]; service != "" {
		query.Set("service", service)
	}
	realm.RawQuery = query.Encode()
	resp, err := r.client.send(ctx, request{kind: "token", url: realm, home: r.home, authorization: r.basic})
	if err != nil {
		return token{}, err
	}
	return r.readToken(resp)
}

func (r *repository) readToken(resp *http.Response) (token, error) {
	service := shown(resp)
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		discard(resp)
		return token{}, builtins.Errorf(builtins.Denied, "token service %s answered %d", service, resp.StatusCode)
	default:
		discard(resp)
		return token{}, builtins.Errorf(builtins.Unavailable, "token service %s answered %d", service, resp.StatusCode)
	}
	defer resp.Body.Close()
	raw, err := readDocument(resp, r.client.config.Limits.Token)
	if builtins.CodeOf(err) == builtins.TooLarge {
		return token{}, builtins.Errorf(builtins.Unavailable, "answer of the token service %w", err)
	}
	if err != nil {
		return token{}, err
	}
	return r.parseToken(raw, service)
}

var tokenText = regexp.MustCompile(`^[!-~]+$`)

// parseToken quotes nothing of the answer.
func (r *repository) parseToken(raw []byte, service string) (token, error) {
	var answer struct {
		Token       string  `json:"token"`
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return token{}, builtins.Errorf(builtins.Unavailable, "token service %s answered something else than a token", service)
	}
	text := answer.Token
	if text == "" {
		text = answer.AccessToken
	}
	if !tokenText.MatchString(text) {
		return token{}, builtins.Errorf(builtins.Unavailable, "token service %s answered without a token", service)
	}
	life := tokenLife
	if 0 < answer.ExpiresIn && answer.ExpiresIn < maxLife.Seconds() {
		life = time.Duration(answer.ExpiresIn) * time.Second
	}
	return token{authorization: "Bearer " + text, until: r.client.config.Clock().Add(life - tokenMargin)}, nil
}

// challengePart is a scheme, or a parameter with its value.
var challengePart = regexp.MustCompile("([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\\s*=\\s*(\"(?:[^\"\\\\]|\\\\.)*\"|[^\\s\",]*))?")

// parseChallenges reads WWW-Authenticate: the parameters by scheme, names in
// lower case. Of two challenges of one scheme the first counts.
func parseChallenges(headers []string) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, header := range headers {
		params := map[string]string{}
		for _, part := range challengePart.FindAllStringSubmatch(header, -1) {
			name, value := strings.ToLower(part[1]), part[2]
			if !strings.Contains(part[0], "=") {
				params = map[string]string{}
				if all[name] == nil {
					all[name] = params
				}
				continue
			}
			params[name] = unquote(value)
		}
	}
	return all
}

var escaped = regexp.MustCompile(`\\(.)`)

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' {
		return s
	}
	return escaped.ReplaceAllString(s[1:len(s)-1], "$1")
}
