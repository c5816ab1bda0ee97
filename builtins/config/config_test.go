// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/config"
)

// secret is in no error and in no printed configuration.
const secret = "hunter2"

// files are beside every configuration of these tests.
var files = map[string]string{
	"password":         secret + "\n",
	"password-crlf":    secret + "\r\n",
	"password-long":    strings.Repeat("x", 4<<10+1),
	"password-lines":   secret + "\n" + secret + "\n",
	"password-empty":   "\n",
	"password-control": secret + "\x00",
	"docker.json": `{"HttpHeaders": {}, "auths": {
		"reg.example.com": {"auth": "` + basic("robot:"+secret+":x") + `"},
		"https://Index.example.com/v1/": {"username": "robot", "password": "` + secret + `"},
		"reg.example.com:5000": {"auth": "` + basic("other:"+secret) + `"},
		"https://twice.example.com": {"auth": "` + basic("a:"+secret) + `"},
		"twice.example.com:443": {"auth": "` + basic("b:"+secret) + `"},
		"token.example.com": {"auth": "` + basic("robot:"+secret) + `", "identitytoken": "` + secret + `"},
		"nobody.example.com": {},
		"broken.example.com": {"auth": "` + secret + `!"},
		"nocolon.example.com": {"auth": "` + basic(secret) + `"},
		"two words/": {"auth": "x"}
	}}`,
	"docker-store.json":   `{"auths": {"reg.example.com": {}}, "credsStore": "desktop"}`,
	"docker-helpers.json": `{"auths": {"reg.example.com": {}}, "credHelpers": {"reg.example.com": "ecr-login"}}`,
	"docker-broken.json":  `{"auths": {"reg.example.com": {"auth": "` + secret,
	"docker-type.json":    `{"auths": {"reg.example.com": {"auth": "x", "password": 12345` + "}}}",
	"docker-long.json":    `{"auths": {}, "x": "` + strings.Repeat("x", 1<<20) + `"}`,
}

func basic(pair string) string { return base64.StdEncoding.EncodeToString([]byte(pair)) }

// directory has [files], a directory, a FIFO, and text as chartseal.yaml.
func directory(t testing.TB, text string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(dir, name), content)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "chartseal.yaml")
	write(t, path, text)
	return dir, path
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, text string) *config.Config {
	t.Helper()
	_, path := directory(t, text)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const full = `
trust: {directory: trust}
registries:
- host: Charts.example.com:443
  credentials: {username: robot, password_file: password}
- host: reg.example.com
  credentials: {docker_config: docker.json}
- host: reg.example.com:5000
  credentials: {docker_config: docker.json}
- host: index.example.com
  credentials: {docker_config: docker.json}
- host: 127.0.0.1:5000
  insecure: true
- host: "*.Example.org"
- host: "*.dev.example.org:8443"
- host: crlf.example.com
  credentials: {username: robot, password_file: password-crlf}
limits:
  archive: 1024
  reference: 1s
cache: {bytes: 1, listings: 5m}
`

func TestLoad(t *testing.T) {
	t.Parallel()
	dir, path := directory(t, full)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := builtins.DefaultLimits()
	want.Archive, want.Reference = 1024, builtins.Duration(time.Second)
	if diff := cmp.Diff(want, c.Limits); diff != "" {
		t.Errorf("limits that are left out lose their default: %s", diff)
	}
	if c.Trust.Directory != filepath.Join(dir, "trust") {
		t.Errorf("trust directory is %s", c.Trust.Directory)
	}
	if c.Cache != (config.Cache{Bytes: 1, Listings: builtins.Duration(5 * time.Minute)}) {
		t.Errorf("cache is %+v", c.Cache)
	}
	if len(c.Registries) != 8 || c.Registries[0].Host != "charts.example.com" || c.Registries[5].Host != "*.example.org" {
		t.Errorf("registries are %+v", c.Registries)
	}
}

func TestDefaultIsTheShortestFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{}", "# nothing\n{}\n", "registries: []", "trust: {}"} {
		if diff := cmp.Diff(config.Default(), load(t, text), cmpopts.IgnoreUnexported(config.Config{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	if _, listed := config.Default().Registry("example.com"); listed {
		t.Error("a host is listed by default")
	}
	absolute := load(t, "trust: {directory: /etc/chartseal/trust}")
	if absolute.Trust.Directory != "/etc/chartseal/trust" {
		t.Errorf("got %s", absolute.Trust.Directory)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	c := load(t, full)
	for _, tt := range []struct{ host, entry string }{
		{"charts.example.com", "charts.example.com"},
		{"CHARTS.example.com:443", "charts.example.com"},
		{"charts.example.com:8443", ""},
		{"x.charts.example.com", ""},
		{"127.0.0.1:5000", "127.0.0.1:5000"},
		{"127.0.0.1", ""},
		{"a.example.org", "*.example.org"},
		{"a.b.example.org", "*.example.org"},
		{"a.b.example.org:443", "*.example.org"},
		{"example.org", ""},
		{"a.example.org:8443", ""},
		{"a.dev.example.org:8443", "*.dev.example.org:8443"},
		{"a.dev.example.org", "*.example.org"},
		{"badexample.org", ""},
		{"a.badexample.org", ""},
		{"a.example.org.evil.example", ""},
		{"*.example.org", ""},
		{"", ""},
		{"no host", ""},
	} {
		t.Run(tt.host, func(t *testing.T) {
			r, listed := c.Registry(tt.host)
			if listed != (tt.entry != "") || r.Host != tt.entry {
				t.Errorf("got %q %v, want %q", r.Host, listed, tt.entry)
			}
			if r.Insecure != (tt.entry == "127.0.0.1:5000") {
				t.Errorf("insecure is %v", r.Insecure)
			}
		})
	}
}

func TestCredentialsAreForOneHostAndPort(t *testing.T) {
	t.Parallel()
	c := load(t, full)
	for _, tt := range []struct{ host, username, password string }{
		{"charts.example.com", "robot", secret},
		{"Charts.Example.com:443", "robot", secret},
		{"reg.example.com", "robot", secret + ":x"},
		{"reg.example.com:5000", "other", secret},
		{"index.example.com", "robot", secret},
		{"crlf.example.com", "robot", secret},
		{"charts.example.com:8443", "", ""},
		{"charts.example.com:80", "", ""},
		{"x.charts.example.com", "", ""},
		{"example.com", "", ""},
		{"127.0.0.1:5000", "", ""},
		{"a.example.org", "", ""},
		{"u@charts.example.com", "", ""},
		{"", "", ""},
	} {
		t.Run(tt.host, func(t *testing.T) {
			username, password, ok := c.Credentials(tt.host)
			if username != tt.username || password != tt.password || ok != (tt.username != "") {
				t.Errorf("got %q %q %v, want %q %q", username, password, ok, tt.username, tt.password)
			}
		})
	}
}

func with(credentials string) string {
	return "registries: [{host: reg.example.com, credentials: {" + credentials + "}}]"
}

func docker(host string) string {
	return "registries: [{host: " + host + ", credentials: {docker_config: docker.json}}]"
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, reason string }{
		"empty":                   {"", "file is empty"},
		"comment alone":           {"# nothing", "file is empty"},
		"null":                    {"null", "file is empty"},
		"a list":                  {"[]", "file is a list, want an object"},
		"no YAML":                 {"trust: [", "line 1"},
		"tab":                     {"trust:\n\tdirectory: x", "line 2"},
		"second document":         {"trust: {}\n---\nlimits: {}", "more than one YAML document"},
		"unknown field":           {"trsut: {}", `unknown field "trsut"; known are cache, gatekeeper, limits, registries, server, trust`},
		"unknown field below":     {"trust: {dir: x}", `file.trust has the unknown field "dir"; known are directory`},
		"field in another case":   {"Trust: {}", `unknown field "Trust"`},
		"field twice":             {"trust: {}\ntrust: {}", `already set in map`},
		"null field":              {"registries:", "file.registries is null, want a list"},
		"unknown limit":           {"limits: {archives: 1}", `unknown field "archives"`},
		"limit with a unit":       {"limits: {archive: 64Mi}", "file.limits.archive is a string, want a whole number"},
		"limit below zero":        {"limits: {archive: -1}", "limits.archive is -1"},
		"limit near overflow":     {"limits: {trust: 9223372036854775807}", "limits.trust is 9223372036854775807"},
		"limit beyond integers":   {"limits: {trust: 92233720368547758070}", "want a whole number"},
		"time without unit":       {"limits: {reference: 5}", `file.limits.reference is a number, want a duration such as "1.5s"`},
		"time below zero":         {"limits: {reference: -5s}", "is not positive"},
		"cache below zero":        {"cache: {bytes: -1}", "cache.bytes is -1"},
		"listings zero":           {"cache: {listings: 0s}", "is not positive"},
		"host missing":            {"registries: [{insecure: true}]", "registries[0]: host is missing"},
		"host with scheme":        {"registries: [{host: 'https://reg.example.com'}]", "host has a slash"},
		"host with path":          {"registries: [{host: reg.example.com/charts}]", "host has a slash"},
		"host with userinfo":      {"registries: [{host: 'u:" + secret + "@reg.example.com'}]", "userinfo"},
		"host with bad port":      {"registries: [{host: 'reg.example.com:0'}]", "port is not a number"},
		"host not ASCII":          {"registries: [{host: exämple.com}]", "no DNS name"},
		"host with final dot":     {"registries: [{host: example.com.}]", "no DNS name"},
		"wildcard alone":          {"registries: [{host: '*'}]", "no DNS name"},
		"wildcard before nothing": {"registries: [{host: '*.'}]", "host is missing"},
		"wildcard in a label":     {"registries: [{host: '*foo.example.com'}]", "no DNS name"},
		"wildcard in the middle":  {"registries: [{host: 'a.*.example.com'}]", "no DNS name"},
		"wildcard twice":          {"registries: [{host: '*.*.example.com'}]", "no DNS name"},
		"wildcard of an address":  {"registries: [{host: '*.10.0.0.1:80'}]", "wildcard before an IP address"},
		"wildcard of an IPv6":     {"registries: [{host: '*.[::1]'}]", "wildcard before an IP address"},
		"insecure wildcard":       {"registries: [{host: '*.example.com', insecure: true}]", "insecure and credentials are for one host"},
		"wildcard with credentials": {
			"registries: [{host: '*.example.com', credentials: {docker_config: docker.json}}]", "insecure and credentials are for one host",
		},
		"host twice":                 {"registries: [{host: reg.example.com}, {host: 'REG.example.com:443'}]", "registries[1]: host reg.example.com is listed twice"},
		"no credentials":             {with(""), "want username and password_file, or docker_config"},
		"user name alone":            {with("username: robot"), "want username and password_file, or docker_config"},
		"password file alone":        {with("password_file: password"), "want username and password_file, or docker_config"},
		"password in the file":       {with("username: robot, password: " + secret), `unknown field "password"`},
		"two kinds":                  {with("username: robot, password_file: password, docker_config: docker.json"), "docker_config stands beside"},
		"user name with colon":       {with("username: 'a:b', password_file: password"), "colon"},
		"password file absent":       {with("username: robot, password_file: gone"), "no such file"},
		"password file is a folder":  {with("username: robot, password_file: folder"), "want a regular file"},
		"password file is a FIFO":    {with("username: robot, password_file: fifo"), "want a regular file"},
		"password file is a device":  {with("username: robot, password_file: /dev/zero"), "want a regular file"},
		"password too long":          {with("username: robot, password_file: password-long"), "more than 4096 bytes"},
		"password of two lines":      {with("username: robot, password_file: password-lines"), "more than one line"},
		"password empty":             {with("username: robot, password_file: password-empty"), "is empty"},
		"password with NUL":          {with("username: robot, password_file: password-control"), "control character"},
		"docker: credential store":   {with("docker_config: docker-store.json"), "none is run"},
		"docker: credential helpers": {with("docker_config: docker-helpers.json"), "none is run"},
		"docker: half a file":        {with("docker_config: docker-broken.json"), "not JSON of Docker's format"},
		"docker: wrong type":         {with("docker_config: docker-type.json"), "not JSON of Docker's format"},
		"docker: too long":           {with("docker_config: docker-long.json"), "more than 1048576 bytes"},
		"docker: FIFO":               {with("docker_config: fifo"), "want a regular file"},
		"docker: other host":         {docker("gone.example.com"), "auths has 0 entries for gone.example.com"},
		"docker: other port":         {docker("reg.example.com:5001"), "auths has 0 entries for reg.example.com:5001"},
		"docker: two entries":        {docker("twice.example.com"), "auths has 2 entries"},
		"docker: identity token":     {docker("token.example.com"), "identitytoken"},
		"docker: empty entry":        {docker("nobody.example.com"), "is empty"},
		"docker: no base64":          {docker("broken.example.com"), "not base64"},
		"docker: no colon":           {docker("nocolon.example.com"), "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, path := directory(t, tt.text)
			c, err := config.Load(path)
			if err == nil || c != nil || !strings.Contains(err.Error(), tt.reason) {
				t.Fatalf("got %v, want %q", err, tt.reason)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%v does not name the file", err)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "12345") {
				t.Errorf("N23: %v shows a secret", err)
			}
		})
	}
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	dir, _ := directory(t, "")
	write(t, filepath.Join(dir, "long.yaml"), "#"+strings.Repeat("x", 1<<20))
	for name, reason := range map[string]string{
		"gone.yaml": "no such file", "folder": "want a regular file", "fifo": "want a regular file", "long.yaml": "more than 1048576 bytes",
	} {
		if _, err := config.Load(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want %q", name, err, reason)
		}
	}
}

func TestN23PrintedConfigurationShowsNoSecret(t *testing.T) {
	t.Parallel()
	c := load(t, full)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprint(*c), fmt.Sprintf("%+v", *c), fmt.Sprintf("%#v", *c), string(asJSON)} {
		if strings.Contains(shown, secret) {
			t.Errorf("N23: %s", shown)
		}
	}
}

// TestEveryFieldIsDocumented wants what the reference page is made of.
func TestEveryFieldIsDocumented(t *testing.T) {
	t.Parallel()
	documented(t, reflect.TypeFor[config.Config]())
}

func documented(t *testing.T, typ reflect.Type) {
	t.Helper()
	if typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return
	}
	for i := range typ.NumField() {
		field := typ.Field(i)
		if !field.IsExported() {
			continue
		}
		if field.Tag.Get("json") == "" || field.Tag.Get("doc") == "" {
			t.Errorf("%s.%s has no json or doc tag", typ.Name(), field.Name)
		}
		documented(t, field.Type)
	}
}
