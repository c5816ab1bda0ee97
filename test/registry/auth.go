// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// tokens are the bearer tokens that were given out.
type tokens struct {
	mu    sync.Mutex
	given map[string]bool
}

func newTokens() *tokens { return &tokens{given: map[string]bool{}} }

func (t *tokens) give() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	token := "bearer-" + rand.Text()
	t.given[token] = true
	return token
}

func (t *tokens) knows(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.given[token]
}

func (s *Server) authorized(r *http.Request, inRegistry bool) bool {
	if s.bearer {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		return !inRegistry || (ok && s.tokens.knows(token))
	}
	return s.credentialed(r)
}

func (s *Server) credentialed(r *http.Request) bool {
	username, password, _ := r.BasicAuth()
	return s.username == "" || (username == s.username && password == s.password)
}

func (s *Server) challenge(w http.ResponseWriter, r *http.Request) {
	if !s.bearer {
		w.Header().Set("WWW-Authenticate", `Basic realm="chartseal"`)
	} else {
		w.Header().Set("WWW-Authenticate", s.bearerChallenge(r))
	}
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "credentials wanted")
}

func (s *Server) bearerChallenge(r *http.Request) string {
	realm := s.realm
	if realm == "" {
		realm = s.URL() + "/token"
	}
	challenge := fmt.Sprintf(`Bearer realm=%q,service="registry"`, realm)
	if route := ociRoute.FindStringSubmatch(r.URL.Path); route != nil {
		challenge += fmt.Sprintf(`,scope="repository:%s:pull,push"`, route[1])
	}
	return challenge
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	if !s.credentialed(r) {
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "wrong username or password")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"token":%q,"expires_in":300}`+"\n", s.tokens.give())
}
