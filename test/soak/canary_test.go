// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
)

// The canaries: none of them may be seen outside the place it was put.
const (
	canaryPassword = "canary-password-5b1f"
	canaryToken    = "canary-token-77aa"
	canaryBody     = "canary-body-90cd"
	canaryQuery    = "canary-query-31ee"
	canaryUser     = "canary-userinfo-0c4d"
	canaryMistake  = "canary-mistake-8e21"
)

// secretsOf are the canaries in the ways in which they travel.
func secretsOf(p *place, serving pair) []string {
	block, _ := pem.Decode(serving.key)
	basic := base64.StdEncoding.EncodeToString([]byte("robot:" + canaryPassword))
	key := base64.StdEncoding.EncodeToString(block.Bytes)
	inline := base64.StdEncoding.EncodeToString(signer.Secret())
	return []string{
		canaryPassword, canaryToken, canaryBody, canaryQuery, canaryUser, canaryMistake,
		basic, key[40:80], inline[len(inline)-60 : len(inline)-20], "bearer-", "PRIVATE KEY-----",
	}
}

// Passwords, tokens, private keys and what registries answer with appear in no
// line of the journal, no metric, no systemError and no report.
func TestCanaries(t *testing.T) {
	p := newPlace(t, registry.WithToken("robot", canaryPassword))
	p.flags = []string{"--log-level", "debug"}
	serving := p.certify()
	secrets := secretsOf(p, serving)
	password := filepath.Join(p.dir, "password")
	must(t, os.WriteFile(password, []byte(canaryPassword+"\n"), 0o600))
	p.login = "  credentials: {username: robot, password_file: password}\n"
	p.configure()
	keys := p.registry.push("web", 12)
	r := p.launch()
	r.journal.watch(secrets...)
	eventually(t, "the provider to serve", func() bool { return len(r.journal.entries("serving")) > 0 })
	r.listen, r.health = r.journal.entries("serving")[0]["listen"].(string), r.journal.entries("serving")[0]["health"].(string)
	g := p.gatekeeper(r)
	seen := ""
	ask := func(keys ...string) answer {
		a := g.ask(keys...)
		seen += a.withoutKeys(t)
		return a
	}

	if code := ask(keys[0]).code(); code != "ok" {
		t.Fatalf("with the password the code is %q: %s", code, seen)
	}
	for n, answer := range answers() {
		p.registry.answer(answer)
		ask(keys[1+n%11], p.registry.key("charts/web:8.8.8"))
	}
	p.registry.answer(nil)
	host := p.registry.host()
	ask(keyOf("https://"+host+"/stable/web-1.2.3.tgz?X-Signature="+canaryQuery),
		keyOf("http://"+host+"/stable/web-1.2.3.tgz?token="+canaryQuery+"#"+canaryQuery),
		keyOf("oci://robot:"+canaryUser+"@"+host+"/charts/web:1.0.0"),
		keyOf("https://robot:"+canaryUser+"@"+host+"/web-1.2.3.tgz"),
		keyOf("ftp://robot:"+canaryUser+"@"+host+"/web-1.2.3.tgz"))
	inline, err := json.Marshal(forge.Armor("PRIVATE KEY BLOCK", signer.Secret()))
	must(t, err)
	ask(strings.Replace(keys[0], `"keyrings":["team"]`, `"keyring":`+string(inline), 1),
		strings.Replace(keys[0], `"keyrings":["team"]`, `"keyrings":["team"],"keyring_url":"https://x:`+canaryUser+`@h/"`, 1))

	p.mistakes(t, r, password)
	_, metrics, err := r.aside("/metrics")
	must(t, err)
	r.signal(15)
	r.code()
	for _, secret := range secrets {
		if strings.Contains(seen, secret) {
			t.Errorf("answers have %s: %.600s", secret, around(seen, secret))
		}
		if strings.Contains(metrics, secret) {
			t.Errorf("metrics have %s", secret)
		}
	}
	for _, line := range r.journal.leaked() {
		t.Errorf("the journal has %.600s", line)
	}
	if len(r.journal.entries("answered")) < 20 {
		t.Errorf("too little was looked at: %s", r.journal.text())
	}
}

// answers are those that a registry gives to have something of it repeated.
func answers() []http.HandlerFunc {
	said := func(status int, header map[string]string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"%s %s"}],"token":%q}`, canaryBody, canaryBody, r.Header.Get("Authorization"), canaryToken)
		}
	}
	return []http.HandlerFunc{
		said(200, nil), said(200, map[string]string{"Content-Type": "application/vnd.oci.image.manifest.v1+json; x=" + canaryBody}),
		said(401, map[string]string{"WWW-Authenticate": `Bearer realm="https://x:` + canaryToken + `@127.0.0.1:1/` + canaryToken + `",service="` + canaryToken + `"`}),
		said(401, map[string]string{"WWW-Authenticate": canaryToken}),
		said(403, nil), said(404, nil), said(429, map[string]string{"Retry-After": canaryBody}), said(500, nil), said(502, nil),
		said(302, map[string]string{"Location": "https://bucket.example.com/" + canaryQuery + "?X-Amz-Signature=" + canaryQuery}),
		said(307, map[string]string{"Location": "http://x:" + canaryToken + "@169.254.169.254/" + canaryToken}),
		said(302, map[string]string{"Location": "://" + canaryToken}),
	}
}

// mistakes put secrets where they do not belong, one after the other.
func (p *place) mistakes(t *testing.T, r *process, password string) {
	good := p.configuration()
	docker := filepath.Join(p.dir, "docker.json")
	must(t, os.WriteFile(docker, []byte(`{"auths":{"`+canaryMistake+`:`+canaryMistake+`@x":{"auth":"`+canaryMistake+`"}}`), 0o600))
	for name, text := range map[string]string{
		"password in the file":  strings.Replace(good, "password_file: password", "password: "+canaryMistake, 1),
		"password for a map":    strings.Replace(good, "{username: robot, password_file: password}", canaryMistake, 1),
		"password as a list":    strings.Replace(good, "password_file: password", "password_file: ["+canaryMistake+"]", 1),
		"password in the host":  strings.Replace(good, "host: ", "host: robot:"+canaryMistake+"@", 1),
		"broken docker config":  strings.Replace(good, "{username: robot, password_file: password}", "{docker_config: docker.json}", 1),
		"key for a certificate": strings.Replace(good, "ca_file: tls/ca.crt", "ca_file: tls/tls.key", 1),
		"key for both":          strings.Replace(good, "cert_file: tls/tls.crt", "cert_file: tls/tls.key", 1),
	} {
		if text == good {
			t.Fatalf("%s is no mistake", name)
		}
		before := len(r.refusals())
		replace(t, p.config(), []byte(text))
		eventually(t, name+" to be refused", func() bool { return len(r.refusals()) > before })
	}
	before := len(r.refusals())
	must(t, os.WriteFile(password, []byte(canaryMistake+"\n"+canaryMistake+"\n"), 0o600))
	replace(t, p.config(), []byte(good))
	eventually(t, "two passwords to be refused", func() bool { return len(r.refusals()) > before })
}

// withoutKeys is an answer without the echo of what was asked.
func (a answer) withoutKeys(t testing.TB) string {
	var wire struct {
		Response struct {
			Items       []struct{ Value json.RawMessage }
			SystemError string
		}
	}
	must(t, json.Unmarshal(a.raw, &wire))
	text := wire.Response.SystemError + "\n"
	for _, item := range wire.Response.Items {
		text += string(item.Value) + "\n"
	}
	return text
}

func around(text, what string) string {
	i := strings.Index(text, what)
	return text[max(0, i-200):min(len(text), i+200)]
}
