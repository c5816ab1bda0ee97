// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/builtintest"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/registry"
)

func TestRepositoryDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := newClient(t, insecure(w.Server))
	for name, c := range map[string]struct {
		digest string
		want   builtins.Code
	}{
		"bare":                 {builtins.SHA256(archive)[7:], builtins.OK},
		"with its algorithm":   {builtins.SHA256(archive), builtins.OK},
		"none":                 {`""`, builtins.OK},
		"of something else":    {builtins.SHA256(prov)[7:], builtins.DigestMismatch},
		"63 digits":            {builtins.SHA256(archive)[8:], builtins.MalformedIndex},
		"upper case":           {strings.ToUpper(builtins.SHA256(archive)[7:]), builtins.OK},
		"of another algorithm": {"sha512:" + strings.Repeat("0", 128), builtins.MalformedIndex},
	} {
		t.Run(name, func(t *testing.T) {
			w.AddFile("stable/index.yaml", indexOf("web-1.2.3.tgz", c.digest))
			_, err := readArchive(t.Context(), client, w.byEntry(t))
			wantCode(t, err, c.want)
		})
	}
}

func TestRepositoryURLs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AddFile("web-1.2.3.tgz", archive)
	w.AddFile("index.yaml", indexOf("web-1.2.3.tgz", ""))
	w.AddFile("stable/sub dir/web-1.2.3+b.tgz", archive)
	client := newClient(t, insecure(w.Server))
	for name, c := range map[string]struct {
		url      string
		fileName string
		want     builtins.Code
	}{
		"relative":              {"web-1.2.3.tgz", "web-1.2.3.tgz", builtins.OK},
		"absolute":              {w.URL() + "/stable/web-1.2.3.tgz", "web-1.2.3.tgz", builtins.OK},
		"from the root":         {"/stable/web-1.2.3.tgz", "web-1.2.3.tgz", builtins.OK},
		"upwards":               {"../web-1.2.3.tgz", "web-1.2.3.tgz", builtins.OK},
		"above the root":        {"../../../web-1.2.3.tgz", "web-1.2.3.tgz", builtins.OK},
		"encoded":               {"sub%20dir/web-1.2.3%2Bb.tgz", "web-1.2.3+b.tgz", builtins.OK},
		"with query":            {"web-1.2.3.tgz?x=1", "web-1.2.3.tgz", builtins.OK},
		"with fragment":         {"'web-1.2.3.tgz#x'", "web-1.2.3.tgz", builtins.OK},
		"hidden slash":          {"a%2fweb-1.2.3.tgz", "a/web-1.2.3.tgz", builtins.NotFound},
		"N21 file":              {"file:///etc/passwd", "", builtins.SourceDenied},
		"N21 another scheme":    {"ftp://127.0.0.1/web.tgz", "", builtins.SourceDenied},
		"N21 registry":          {"oci://127.0.0.1/web:1.2.3", "", builtins.SourceDenied},
		"N21 opaque":            {"data:text/plain,x", "", builtins.SourceDenied},
		"N21 host not listed":   {"http://127.0.0.9/web.tgz", "", builtins.SourceDenied},
		"N21 userinfo":          {"http://robot:word@" + w.Host() + "/web.tgz", "", builtins.SourceDenied},
		"N21 link-local":        {"https://169.254.169.254/web.tgz", "web.tgz", builtins.SourceDenied},
		"is no URL":             {"'http://['", "", builtins.MalformedIndex},
		"is not there":          {"none.tgz", "none.tgz", builtins.NotFound},
		"without host":          {"https:///web.tgz", "", builtins.SourceDenied},
		"host of another start": {"//127.0.0.9/web.tgz", "", builtins.SourceDenied},
	} {
		t.Run(name, func(t *testing.T) {
			w.AddFile("stable/index.yaml", indexOf(c.url, ""))
			a, err := client.Resolve(t.Context(), w.byEntry(t))
			if err == nil {
				if got := a.Info().FileName; got != c.fileName {
					t.Errorf("file name is %q, want %q", got, c.fileName)
				}
				_, err = readArchive(t.Context(), client, w.byEntry(t))
			}
			wantCode(t, err, c.want)
		})
	}
	t.Run("repository at the root", func(t *testing.T) {
		got, err := readArchive(t.Context(), client, reference(t, entryOf(w.URL(), "web", "1.2.3")))
		wantBytes(t, got, err, archive)
	})
}

func TestN20CredentialsStayHome(t *testing.T) {
	t.Parallel()
	home, away, ca := tlsPair(t, registry.WithBasic("robot", "word"))
	hosts := secure(home.Server, away.Server).with(home.Server, "robot", "word").with(away.Server, "other", "secret")
	client := newClient(t, hosts, trusting(ca))
	t.Run("N20 twin at home", func(t *testing.T) {
		got, err := readArchive(t.Context(), client, home.byEntry(t))
		wantBytes(t, got, err, archive)
		got, err = readProv(t.Context(), client, home.byEntry(t))
		wantBytes(t, got, err, prov)
	})
	t.Run("N20 archive elsewhere", func(t *testing.T) {
		home.AddFile("stable/index.yaml", indexOf(away.URL()+"/stable/web-1.2.3.tgz", ""))
		got, err := readArchive(t.Context(), client, home.byEntry(t))
		wantBytes(t, got, err, archive)
		got, err = readProv(t.Context(), client, home.byEntry(t))
		wantBytes(t, got, err, prov)
		wantNoAuthorization(t, away.Server)
	})
	t.Run("N20 same host, another port", func(t *testing.T) {
		other := newWorld(t, registry.WithTLS(ca.Config()))
		client := newClient(t, hosts.and(secure(other.Server)), trusting(ca))
		home.AddFile("stable/index.yaml", indexOf(other.URL()+"/stable/web-1.2.3.tgz", ""))
		got, err := readArchive(t.Context(), client, home.byEntry(t))
		wantBytes(t, got, err, archive)
		wantNoAuthorization(t, other.Server)
	})
}

func TestN22Index(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limit := int64(len(indexOf("web-1.2.3.tgz", "")))
	client := newClient(t, insecure(w.Server), limits(func(l *builtins.Limits) { l.Index = limit }))
	_, err := readArchive(t.Context(), client, w.byEntry(t))
	wantCode(t, err, builtins.OK)
	t.Run("N22 over the limit", func(t *testing.T) {
		defer w.Rule(registry.Rule{Path: "*/index.yaml", Edit: func(b []byte) []byte { return append(b, '\n') }})()
		_, err := readArchive(t.Context(), client, w.byEntry(t))
		wantCode(t, err, builtins.TooLarge)
	})
	for name, entry := range map[string]map[string]any{
		"N22 version absent": entryOf(w.URL()+"/stable", "web", "1.2.4"),
		"N22 version alike":  entryOf(w.URL()+"/stable", "web", "1.2.3+b"),
		"N22 chart absent":   entryOf(w.URL()+"/stable", "api", "1.2.3"),
		"N22 index absent":   entryOf(w.URL()+"/none", "web", "1.2.3"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readArchive(t.Context(), client, reference(t, entry))
			wantCode(t, err, builtins.NotFound)
		})
	}
	t.Run("N22 a page instead", func(t *testing.T) {
		w.AddFile("stable/index.yaml", []byte("<!DOCTYPE html>\n<html><body>log in</body></html>\n"))
		_, err := readArchive(t.Context(), client, w.byEntry(t))
		wantCode(t, err, builtins.MalformedIndex)
	})
}

// indexRequests counts the requests for the index, and those that were
// conditional.
func indexRequests(w *world) (all, conditional int) {
	for _, r := range w.Requests() {
		if strings.HasSuffix(r.Path, "/index.yaml") {
			all++
			if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
				conditional++
			}
		}
	}
	return all, conditional
}

func TestIndexIsRemembered(t *testing.T) {
	t.Parallel()
	remembering := func(listings time.Duration, bytes int64) func(*source.Config) {
		return func(c *source.Config) { c.Listings, c.CacheBytes = listings, bytes }
	}
	for name, c := range map[string]struct {
		listings         time.Duration
		bytes            int64
		all, conditional int
	}{
		"not at all":            {time.Hour, 0, 3, 0},
		"as long as configured": {time.Hour, 1 << 20, 1, 0},
		"and asked again":       {0, 1 << 20, 3, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			client := newClient(t, insecure(w.Server), remembering(c.listings, c.bytes))
			for range 3 {
				got, err := readArchive(t.Context(), client, w.byEntry(t))
				wantBytes(t, got, err, archive)
			}
			if all, conditional := indexRequests(w); all != c.all || conditional != c.conditional {
				t.Errorf("%d requests, %d of them conditional; want %d, %d", all, conditional, c.all, c.conditional)
			}
		})
	}
	t.Run("until it changes", func(t *testing.T) {
		w := newWorld(t)
		client := newClient(t, insecure(w.Server), remembering(0, 1<<20))
		_, err := readArchive(t.Context(), client, w.byEntry(t))
		wantCode(t, err, builtins.OK)
		w.AddFile("stable/index.yaml", indexOf("web-1.2.3.tgz", builtins.SHA256(prov)))
		_, err = readArchive(t.Context(), client, w.byEntry(t))
		wantCode(t, err, builtins.DigestMismatch)
	})
	t.Run("by its date", func(t *testing.T) {
		w := newWorld(t)
		w.Rule(registry.Rule{Path: "*/index.yaml", Nth: 1, Header: map[string]string{"ETag": "", "Last-Modified": "Tue, 02 Jan 2024 03:04:05 GMT"}})
		w.Rule(registry.Rule{Path: "*/index.yaml", Handler: func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNotModified) }})
		client := newClient(t, insecure(w.Server), remembering(0, 1<<20))
		for range 2 {
			_, err := readArchive(t.Context(), client, w.byEntry(t))
			wantCode(t, err, builtins.OK)
		}
		if _, conditional := indexRequests(w); conditional != 1 {
			t.Errorf("%d conditional requests, want 1", conditional)
		}
	})
	t.Run("but an outage is an outage", func(t *testing.T) {
		w := newWorld(t)
		client := newClient(t, insecure(w.Server), remembering(0, 1<<20))
		_, err := readArchive(t.Context(), client, w.byEntry(t))
		wantCode(t, err, builtins.OK)
		remove := w.Rule(registry.Rule{Path: "*/index.yaml", Status: 503, Body: []byte("x")})
		_, err = readArchive(t.Context(), client, w.byEntry(t))
		wantCode(t, err, builtins.Unavailable)
		remove()
		_, err = readArchive(t.Context(), client, w.byEntry(t))
		wantCode(t, err, builtins.OK)
	})
	t.Run("for those who may go there", func(t *testing.T) {
		w := newWorld(t)
		client := newClient(t, insecure(w.Server), remembering(time.Hour, 1<<20))
		_, err := readArchive(t.Context(), client, w.byEntry(t))
		wantCode(t, err, builtins.OK)
		_, err = client.Allowing([]string{}).Resolve(t.Context(), w.byEntry(t))
		wantCode(t, err, builtins.SourceDenied)
	})
}

// entryLimit is small, since what is over it is as well over a large one.
const entryLimit = 64 << 10

// indexes are texts in which web 1.2.3 is looked for.
var indexes = []struct {
	name string
	text string
	want builtins.Code
}{
	{"as helm writes it", "apiVersion: v1\nentries:\n  api:\n  - name: api\n    urls:\n    - api.tgz\n    version: 1.2.3\n  web:\n  - name: web\n    urls:\n    - old.tgz\n    version: 1.2.2\n  - name: web\n    urls:\n    - web.tgz\n    - other.tgz\n    version: 1.2.3\ngenerated: \"x\"\n", builtins.OK},
	{"indented further", "apiVersion: v1\nentries:\n    web:\n        - version: 1.2.3\n          urls:\n              - web.tgz\n", builtins.OK},
	{"with marker, comments, blank lines", "\n# ours\n---\napiVersion: v1\n\nentries:\n# all\n  # of them\n\n  web:\n  # these\n  - version: 1.2.3\n\n    urls: [web.tgz]\n", builtins.OK},
	{"with CRLF and BOM", "\ufeffapiVersion: v1\r\nentries:\r\n  web:\r\n  - version: 1.2.3\r\n    urls:\r\n    - web.tgz\r\n", builtins.OK},
	{"quoted", "\"apiVersion\": v1\n'entries':\n  \"w\\u0065b\":\n  - \"version\": \"1.2.3\"\n    \"urls\": [\"web.tgz\"]\n", builtins.OK},
	{"with block scalars", "apiVersion: v1\nentries:\n  web:\n  - description: |\n      - version: 9.9.9\n      web:\n    version: 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"dash on a line of its own", "apiVersion: v1\nentries:\n  web:\n  -\n    version: 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"entries in flow style", "apiVersion: v1\nentries: {web: [{version: 1.2.3, urls: [web.tgz]}]}\n", builtins.OK},
	{"chart in flow style", "apiVersion: v1\nentries:\n  web: [{version: 1.2.3,\n    urls: [web.tgz]}]\n", builtins.OK},
	{"JSON", `{"apiVersion": "v1", "entries": {"api": [], "web": [{"version": "1.2.2"}, {"version": "1.2.3", "urls": ["web.tgz"]}]}}`, builtins.OK},
	{"JSON with escapes", `{"apiVersion": "v1", "entries": {"web": [{"description": "\ud83d\ude00 \/ \u002b", "annotations": {"a": "1", "A": "2"}, "version": "1.2.3", "urls": ["web\u002etgz"]}]}}`, builtins.OK},
	{"members after entries", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\npublicKeys:\n- x\nserverInfo: {}\n", builtins.OK},
	{"without final newline", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]", builtins.OK},
	{"an odd entry beside", "apiVersion: v1\nentries:\n  web:\n  - version: 1.10\n    urls: 7\n  - version: 1.2.3\n    urls: [web.tgz]\n  - nothing: here\n", builtins.OK},

	{"no entries", "apiVersion: v1\n", builtins.NotFound},
	{"empty entries", "apiVersion: v1\nentries: {}\n", builtins.NotFound},
	{"null entries", "apiVersion: v1\nentries:\n", builtins.NotFound},
	{"no entries in JSON", `{"apiVersion": "v1"}`, builtins.NotFound},
	{"empty chart", "apiVersion: v1\nentries:\n  web: []\n", builtins.NotFound},
	{"null chart", "apiVersion: v1\nentries:\n  web:\n  zeb: []\n", builtins.NotFound},
	{"version in another field", "apiVersion: v1\nentries:\n  web:\n  - appVersion: 1.2.3\n    version: 1.0.0\n    urls: [web.tgz]\n", builtins.NotFound},
	{"version of another chart", "apiVersion: v1\nentries:\n  api:\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.NotFound},
	{"version with a v", "apiVersion: v1\nentries:\n  web:\n  - version: v1.2.3\n    urls: [web.tgz]\n", builtins.NotFound},

	{"empty", "", builtins.MalformedIndex},
	{"no apiVersion", "entries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.MalformedIndex},
	{"no apiVersion in JSON", `{"entries": {}}`, builtins.MalformedIndex},
	{"text", "not found\n", builtins.MalformedIndex},
	{"a list", "- apiVersion: v1\n", builtins.MalformedIndex},
	{"entries twice", "apiVersion: v1\nentries:\n  web: []\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.MalformedIndex},
	{"entries twice, quoted", "apiVersion: v1\nentries: {}\n\"entries\":\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.MalformedIndex},
	{"entries twice in JSON", `{"apiVersion": "v1", "entries": {}, "entries": {"web": [{"version": "1.2.3", "urls": ["web.tgz"]}]}}`, builtins.MalformedIndex},
	{"chart twice", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n  web: []\n", builtins.MalformedIndex},
	{"chart twice in JSON", `{"apiVersion": "v1", "entries": {"web": [{"version": "1.2.3", "urls": ["web.tgz"]}], "web": []}}`, builtins.MalformedIndex},
	{"chart twice in flow style", "apiVersion: v1\nentries: {web: [{version: 1.2.3, urls: [web.tgz]}], web: []}\n", builtins.MalformedIndex},
	{"version twice", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n  - version: 1.2.3\n    urls: [other.tgz]\n", builtins.MalformedIndex},
	{"a key twice", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n    urls: [other.tgz]\n", builtins.MalformedIndex},
	{"a key twice in JSON", `{"apiVersion": "v1", "entries": {"web": [{"version": "1.2.3", "urls": ["web.tgz"], "urls": ["other.tgz"]}]}}`, builtins.MalformedIndex},
	{"no URL", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n", builtins.MalformedIndex},
	{"empty URL", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [\"\"]\n", builtins.MalformedIndex},
	{"URL of another type", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [7]\n", builtins.MalformedIndex},
	{"digest of another type", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n    digest: 7\n", builtins.MalformedIndex},
	{"entries of a chart no list", "apiVersion: v1\nentries:\n  web:\n    version: 1.2.3\n", builtins.MalformedIndex},
	{"entry no object", "apiVersion: v1\nentries:\n  web:\n  - 1.2.3\n", builtins.MalformedIndex},
	{"entries a list", "apiVersion: v1\nentries:\n- web\n", builtins.MalformedIndex},
	{"two documents", "apiVersion: v1\nentries: {}\n---\napiVersion: v1\n", builtins.MalformedIndex},
	{"merge key", "apiVersion: v1\nentries:\n  <<: {}\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"further out", "apiVersion: v1\nentries:\n    api: []\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.MalformedIndex},
	{"alias of elsewhere", "apiVersion: v1\nx: &x\n  version: 1.2.3\nentries:\n  web:\n  - *x # 1.2.3\n", builtins.MalformedIndex},
	{"JSON and more", `{"apiVersion": "v1", "entries": {}} {}`, builtins.MalformedIndex},
	{"JSON cut", `{"apiVersion": "v1", "entries": {"web": [`, builtins.MalformedIndex},
	{"JSON of another shape", `{"apiVersion": "v1", "entries": {"web": {"version": "1.2.3"}}}`, builtins.MalformedIndex},
	{"large entry", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    x: " + strings.Repeat("x", entryLimit) + "\n", builtins.TooLarge},
	{"large entry in JSON", `{"apiVersion": "v1", "entries": {"web": [{"version": "1.2.3", "x": "` + strings.Repeat("x", entryLimit) + `"}]}}`, builtins.TooLarge},

	// What Helm reads as well, in other dialects of YAML.
	{"marker with a comment", "--- # ours\napiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"end of the document", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n...\n", builtins.OK},
	{"directive", "%YAML 1.1\n---\napiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"all in flow style", "{apiVersion: v1, entries: {web: [{version: 1.2.3, urls: [web.tgz]}]}}\n", builtins.OK},
	{"flow style after the marker", "--- {apiVersion: v1, entries: {web: [{version: 1.2.3, urls: [web.tgz]}]}}\n", builtins.OK},
	{"blank before the colon", "apiVersion : v1\nentries:\n  \"web\" :\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"tagged", "apiVersion: v1\nentries: !!map\n  web: !!seq\n  - version: !!str 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"quoted text at the margin", "apiVersion: v1\nentries:\n  web:\n  - description: \"foo\nbar\n\n  baz\"\n    version: 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"quoted text like a key", "apiVersion: v1\nentries:\n  web:\n  - description: \"foo\n  bar: x\"\n    version: 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"quoted text like the chart", "apiVersion: v1\nentries:\n  api:\n  - description: \"x\n  web:\n  - {version: 1.2.3, urls: [evil.tgz]}\"\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n", builtins.OK},
	{"aliases", "x: &u [web.tgz]\ny: &v 1.2.3\napiVersion: v1\nentries:\n  web:\n  - {version: *v, urls: *u}\n  - version: 1.2.3\n    urls: *u\n", builtins.OK},
	{"merged name", "apiVersion: v1\nentries:\n  web:\n  - <<: {name: web}\n    version: 1.2.3\n    urls: [web.tgz]\n    digest:\n", builtins.OK},
	{"version twice, alike", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n  - version: 1.2.3\n    name: web\n    urls: [web.tgz, other.tgz]\n", builtins.OK},
	{"version twice, alike, in JSON", `{"apiVersion": "v1", "entries": {"web": [{"version": "1.2.3", "urls": ["web.tgz"]}, {"version": "1.2.3", "urls": ["web.tgz"]}]}}`, builtins.OK},
	{"a fault beside", "apiVersion: v1\nentries:\n  web:\n  - version: 0.9.0\n    appVersion: 1.2.3\n    appVersion: 1.2.3\n  - version: 1.2.3-rc1\n  - version: 1.2.3\n    urls: [web.tgz]\n  - null\n", builtins.OK},
	{"a fault beside in JSON", `{"apiVersion": "v1", "entries": {"api": {}, "web": [null, {"version": "0.9.0", "appVersion": "1.2.3", "appVersion": 7}, {"version": "1.2.3", "urls": ["web.tgz"]}]}}`, builtins.OK},
	{"alias bomb that nobody reads", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    a: &a [x,x,x,x,x,x,x,x,x]\n" + aliases("abcdefghij") + "    urls: [web.tgz]\n", builtins.OK},
	{"large flow style", "apiVersion: v1\nentries: {x: " + strings.Repeat("x", entryLimit) + "}\n", builtins.NotFound},

	{"version twice in JSON", `{"apiVersion": "v1", "entries": {"web": [{"version": "1.2.3", "urls": ["web.tgz"]}, {"version": "1.2.3", "urls": ["other.tgz"]}]}}`, builtins.MalformedIndex},
	{"version twice, of two digests", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n  - version: 1.2.3\n    urls: [web.tgz]\n    digest: " + strings.Repeat("0", 64) + "\n", builtins.MalformedIndex},
	{"two cases", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n    URLs: [other.tgz]\n", builtins.MalformedIndex},
	{"two cases in JSON", `{"apiVersion": "v1", "entries": {"web": [{"version": "1.2.3", "urls": ["web.tgz"], "urlſ": ["other.tgz"]}]}}`, builtins.MalformedIndex},
	{"entries in two cases", `{"apiVersion": "v1", "entries": {}, "Entries": {"web": [{"version": "1.2.3", "urls": ["web.tgz"]}]}}`, builtins.MalformedIndex},
	{"version in another case", "apiVersion: v1\nentries:\n  web:\n  - Version: 1.2.3\n    urls: [web.tgz]\n", builtins.MalformedIndex},
	{"merged URL", "apiVersion: v1\nentries:\n  web:\n  - <<: {urls: [web.tgz]}\n    version: 1.2.3\n", builtins.MalformedIndex},
	{"merged chart", "apiVersion: v1\nentries:\n  <<: {web: [{version: 1.2.3, urls: [web.tgz]}]}\n", builtins.MalformedIndex},
	{"digest that is a number", "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    urls: [web.tgz]\n    digest: " + strings.Repeat("1", 64) + "\n", builtins.MalformedIndex},
	{"alias of itself", "apiVersion: v1\nentries: &e\n  web: *e\n", builtins.MalformedIndex},
	{"larger flow style", "apiVersion: v1\nentries: {x: " + strings.Repeat("x", 4*entryLimit) + "}\n", builtins.MalformedIndex},
	{"many items in flow style", "apiVersion: v1\nentries: {web: [" + strings.Repeat(",", 4*entryLimit-100) + "]}\n", builtins.TooMany},
	{"many tokens in JSON", `{"apiVersion": "v1", "entries": {"web": [{"version": "1.2.3", "x": [` + strings.Repeat("0,", 10_000) + `0]}]}}`, builtins.TooMany},
	{"large part in JSON", `{"apiVersion": "v1", "x": "` + strings.Repeat("x", 5*entryLimit) + `", "entries": {}}`, builtins.TooLarge},
}

// aliases are lines each of which repeats the one before nine times.
func aliases(names string) string {
	var b strings.Builder
	for i := 1; i < len(names); i++ {
		fmt.Fprintf(&b, "    %c: &%c [%s]\n", names[i], names[i], strings.TrimSuffix(strings.Repeat("*"+names[i-1:i]+",", 9), ","))
	}
	return b.String()
}

func TestIndexTexts(t *testing.T) {
	t.Parallel()
	for _, i := range indexes {
		t.Run(i.name, func(t *testing.T) {
			t.Parallel()
			within(t, 0, func() {
				url, _, err := source.FindEntry(t.Context(), []byte(i.text), "web", "1.2.3", entryLimit)
				wantCode(t, err, i.want)
				if err == nil && url != "web.tgz" {
					t.Errorf("URL is %q, want web.tgz", url)
				}
			})
		})
	}
}

// Whatever fills 32 MiB, the answer comes soon and takes little memory.
func TestLargeIndexes(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	fill := func(head, line, tail string) []byte {
		return []byte(head + strings.Repeat(line, (size-len(head)-len(tail))/len(line)) + tail)
	}
	for name, raw := range map[string][]byte{
		"charts":       fill("apiVersion: v1\nentries:\n", "  a:\n", ""),
		"versions":     fill("apiVersion: v1\nentries:\n  web:\n", "  - version: 1.2.4\n", ""),
		"decoys":       fill("apiVersion: v1\nentries:\n  web:\n", "  - x: 1.2.3\n", ""),
		"margin":       fill("apiVersion: v1\n", "a: b\n", ""),
		"blanks":       fill("apiVersion: v1\n", "\n", ""),
		"one line":     fill("apiVersion: v1\nentries: ", "[", ""),
		"JSON list":    fill(`{"apiVersion": "v1", "entries": {"web": [`, `{},`, `{}]}}`),
		"JSON strings": fill(`{"apiVersion": "v1", "x": [`, `"",`, `""], "entries": {}}`),
		"JSON":         fill(`{"apiVersion": "v1", "entries": {`, `"a":[],`, `"b": []}}`),
		"nested":       fill(`{"apiVersion": "v1", "entries": {"web": `, `[`, ``),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			within(t, 300*time.Millisecond, func() {
				_, _, err := source.FindEntry(ctx, raw, "web", "1.2.3", 1<<20)
				if err == nil || builtins.CodeOf(err) == builtins.Internal {
					t.Errorf("error is %v", err)
				}
			})
		})
	}
}

func FuzzIndex(f *testing.F) {
	for _, i := range indexes {
		if len(i.text) < 4096 {
			f.Add([]byte(i.text))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var url, digest string
		var err error
		builtintest.Bounded(t, func() { url, digest, err = source.FindEntry(t.Context(), raw, "web", "1.2.3", 1<<20) })
		switch code := builtins.CodeOf(err); code {
		case builtins.OK:
			if url == "" || !bytes.Contains(raw, []byte("1.2.3")) || (digest != "" && len(digest) != len("sha256:")+64) {
				t.Errorf("accepted %q with URL %q and digest %q", raw, url, digest)
			}
		case builtins.NotFound, builtins.MalformedIndex, builtins.TooLarge, builtins.TooMany:
		default:
			t.Errorf("code is %s: %v", code, err)
		}
	})
}
