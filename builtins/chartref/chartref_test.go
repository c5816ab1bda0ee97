// SPDX-License-Identifier: Apache-2.0

package chartref_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/chartseal/chartseal/builtins/chartref"
)

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// good has references beside their canonical form.
var good = []struct {
	in   string
	kind chartref.Kind
	want string
}{
	{"oci://registry.example.com/charts/web:1.2.3", chartref.OCI, "oci://registry.example.com/charts/web:1.2.3"},
	{"oci://registry.example.com/charts/web@" + digest, chartref.OCI, "oci://registry.example.com/charts/web@" + digest},
	{"oci://registry.example.com/charts/web:1.2.3@" + digest, chartref.OCI, "oci://registry.example.com/charts/web:1.2.3@" + digest},
	{"OCI://Registry.Example.com:443/web:Latest", chartref.OCI, "oci://registry.example.com/web:Latest"},
	{"oci://localhost:5000/a/b__c/d-e.f:1.2.3-rc.1+b.7", chartref.OCI, "oci://localhost:5000/a/b__c/d-e.f:1.2.3-rc.1_b.7"},
	{"oci://[2001:DB8::0001]:443/web:1", chartref.OCI, "oci://[2001:db8::1]/web:1"},
	{"oci://reg_1.internal:80/web:1", chartref.OCI, "oci://reg_1.internal:80/web:1"},

	{"https://charts.example.com/web-1.2.3.tgz", chartref.URL, "https://charts.example.com/web-1.2.3.tgz"},
	{"HTTPS://Charts.Example.COM:443/A/web-1.2.3.tgz", chartref.URL, "https://charts.example.com/A/web-1.2.3.tgz"},
	{"http://charts.example.com:80/web.tgz", chartref.URL, "http://charts.example.com/web.tgz"},
	{"http://charts.example.com:443/web.tgz", chartref.URL, "http://charts.example.com:443/web.tgz"},
	{"https://127.0.0.1:65535/web.tgz", chartref.URL, "https://127.0.0.1:65535/web.tgz"},
	{"https://[::1]:8443/web.tgz", chartref.URL, "https://[::1]:8443/web.tgz"},
	{"https://h.example/@scope/web%2B1%20x.tgz", chartref.URL, "https://h.example/@scope/web%2B1%20x.tgz"},
	{"https://h.example/web.tgz?token=abc/../[x]", chartref.URL, "https://h.example/web.tgz?…"},
	{"https://h.example/web.tgz?", chartref.URL, "https://h.example/web.tgz"},
	{"https://h.example/...", chartref.URL, "https://h.example/..."},
	{"https://xn--bcher-kva.example/web.tgz", chartref.URL, "https://xn--bcher-kva.example/web.tgz"},

	{"./web-1.2.3.tgz", chartref.Path, "web-1.2.3.tgz"},
	{"web-1.2.3.tgz", chartref.Path, "web-1.2.3.tgz"},
	{"charts/web/", chartref.Path, "charts/web"},
	{"../../a//b/./web.tgz", chartref.Path, "../../a/b/web.tgz"},
	{"/abs/web.tgz", chartref.Path, "/abs/web.tgz"},
	{".", chartref.Path, "."},
	{"docker.io/foo:bar", chartref.Path, "docker.io/foo:bar"},
	{"~/$HOME/*.tgz", chartref.Path, "~/$HOME/*.tgz"},
	{"Käse web.tgz", chartref.Path, "Käse web.tgz"},
	{"inline:sha256:00", chartref.Path, "./inline:sha256:00"},
	{"file:///abs/a%20b/web.tgz", chartref.Path, "/abs/a b/web.tgz"},
	{"FILE:///charts/web/", chartref.Path, "/charts/web"},
}

// bad has strings that are no reference beside a part of the reason.
var bad = []struct{ id, in, reason string }{
	{"N17 empty", "", "reference is empty"},
	{"N17 a slash missing", "oci:/h/web:1", "want oci://"},
	{"N17 a slash missing before a password", "https:/user:hunter2@charts.example.com/web.tgz", "want https://"},
	{"N17 into a folder and back", "link/../web.tgz", ".. after the name of a folder"},
	{"N17 into a folder and back, further down", "./a/./b/../web.tgz", ".. after the name of a folder"},
	{"N17 userinfo", "https://user:hunter2@charts.example.com/web.tgz", "userinfo"},
	{"N17 userinfo without password", "https://hunter2@charts.example.com/web.tgz", "userinfo"},
	{"N17 userinfo in oci", "oci://user:hunter2@registry.example.com/web:1", "userinfo"},
	{"N17 userinfo behind a backslash", `https://good.example\@evil.example/web.tgz`, "userinfo"},
	{"N17 dot segments", "https://h.example/a/../web.tgz", `dot segment ".."`},
	{"N17 single dot segment", "https://h.example/./web.tgz", `dot segment "."`},
	{"N17 dot segments in oci", "oci://h.example/a/../web:1", `part ".."`},
	{"N17 dot segments in file", "file:///a/../web.tgz", `dot segment ".."`},
	{"N17 empty segment", "https://h.example//web.tgz", "empty segment"},
	{"N17 empty segment in oci", "oci://h.example/a//web:1", `part ""`},
	{"N17 final slash", "https://h.example/charts/", "empty segment"},
	{"N17 %2f", "https://h.example/a%2fweb.tgz", "hides a slash"},
	{"N17 %2F", "https://h.example/a%2Fweb.tgz", "hides a slash"},
	{"N17 %5c", "https://h.example/a%5cweb.tgz", "hides a slash"},
	{"N17 %2e%2e", "https://h.example/%2e%2e/web.tgz", "hides a slash"},
	{"N17 %2f in oci", "oci://h.example/a%2fweb:1", "want lower-case letters"},
	{"N17 %2f in file", "file:///a%2fb", "hides a slash"},
	{"N17 backslash", `https://h.example/a\web.tgz`, "a character that a URL does not"},
	{"N17 %00", "https://h.example/a%00.tgz", "not printable text"},
	{"N17 broken escape", "https://h.example/a%zz.tgz", "not printable text"},
	{"N17 escaped invalid UTF-8", "https://h.example/a%ff.tgz", "not printable text"},
	{"N17 space", "https://h.example/a b.tgz", "a character that a URL does not"},
	{"N17 space in query", "https://h.example/a.tgz?hunter2 x", "query holds"},
	{"N17 non-ASCII host", "https://exаmple.com/web.tgz", `"ex\u0430mple.com"`},
	{"N17 non-ASCII host in oci", "oci://exämple.com/web:1", `"ex\u00e4mple.com"`},
	{"N17 host whose lower case is ASCII", "https://\u212Aube.example/web.tgz", `"\u212aube.example"`},
	{"N17 host whose lower case is ASCII in oci", "oci://reg\u0130stry.example/web:1", `"reg\u0130stry.example"`},
	{"N17 scheme whose lower case is ASCII", "OC\u0130://h.example/web:1", `scheme "oc\u0130" is unknown`},
	{"N17 non-ASCII path", "https://h.example/wéb.tgz", "a character that a URL does not"},
	{"N17 unknown scheme", "ftp://h.example/web.tgz", `scheme "ftp" is unknown, want oci, https, http or file`},
	{"N17 no scheme", "://h.example/web.tgz", `scheme "" is unknown`},
	{"N17 second URL inside", "//u:hunter2@h.example/x?next=https://i.example", "scheme before :// is unknown"},
	{"fragment", "https://h.example/web.tgz#x", "fragment"},
	{"fragment in oci", "oci://h.example/web:1#x", "query or a fragment"},
	{"query in oci", "oci://h.example/web:1?x", "query or a fragment"},
	{"query in file", "file:///web.tgz?x", "query or a fragment"},
	{"canonical repository object", "https://h.example#web@1.2.3", "fragment"},
	{"host alone", "https://h.example", "names no archive"},
	{"host and slash alone", "https://h.example/", "names no archive"},
	{"no host", "https:///web.tgz", "host is missing"},
	{"no host in oci", "oci:///web:1", "host is missing"},
	{"host in file", "file://h.example/web.tgz", "want file:///path"},
	{"file root", "file:///", "root directory"},
	{"final dot in host", "https://h.example./web.tgz", `label ""`},
	{"space in host", "https://h example/web.tgz", "no DNS name"},
	{"percent in host", "https://h%2eexample/web.tgz", "no DNS name"},
	{"hyphen at label's end", "https://h-.example/web.tgz", "no DNS name"},
	{"long label", "https://" + strings.Repeat("a", 64) + ".example/web.tgz", "no DNS name"},
	{"long host", "https://" + strings.Repeat("a.", 127) + "aa/web.tgz", "at most 253"},
	{"shortened IPv4", "https://127.1/web.tgz", "no IPv4 address"},
	{"decimal IPv4", "https://2130706433/web.tgz", "no IPv4 address"},
	{"hexadecimal IPv4", "https://0x7f000001/web.tgz", "no IPv4 address"},
	{"octal IPv4", "https://0177.0.0.1/web.tgz", "no IPv4 address"},
	{"IPv6 without brackets", "https://::1/web.tgz", "no DNS name"},
	{"IPv6 with zone", "https://[fe80::1%25eth0]/web.tgz", "no IPv6 address"},
	{"IPv4 in brackets", "https://[127.0.0.1]/web.tgz", "no IPv6 address"},
	{"open bracket", "https://[::1/web.tgz", "no IPv6 address"},
	{"text behind bracket", "https://[::1]x/web.tgz", "port is not a number"},
	{"empty port", "https://h.example:/web.tgz", "port is not a number"},
	{"port 0", "https://h.example:0/web.tgz", "port is not a number"},
	{"port 65536", "https://h.example:65536/web.tgz", "port is not a number"},
	{"port 0443", "https://h.example:0443/web.tgz", "port is not a number"},
	{"port +443", "https://h.example:+443/web.tgz", "port is not a number"},
	{"NUL in path", "a\x00b", "U+0000"},
	{"newline in path", "a\nb", "U+000A"},
	{"text direction in path", "a\u202egzt.tgz", "U+202E"},
	{"invalid UTF-8", "a\xff", "not valid UTF-8"},
	{"control character in URL", "https://h.example/a\tb.tgz", "U+0009"},
	{"too long", strings.Repeat("a", 4097), "4097 bytes, at most 4096"},
	{"upper-case repository", "oci://h.example/Web:1", `part "Web"`},
	{"no repository", "oci://h.example", `part ""`},
	{"repository too long", "oci://h.example/" + strings.Repeat("a", 246) + ":1", "at most 255"},
	{"neither tag nor digest", "oci://h.example/web", "neither a tag nor a digest"},
	{"empty tag", "oci://h.example/web:", `tag ""`},
	{"bad tag", "oci://h.example/web:.1", `tag ".1"`},
	{"two tags", "oci://h.example/web:1:2", `tag "1:2"`},
	{"plus in no version", "oci://h.example/web:v1+b", `tag "v1+b"`},
	{"long tag", "oci://h.example/web:" + strings.Repeat("1", 129), "1 to 128"},
	{"N18 sha512", "oci://h.example/web@sha512:" + strings.Repeat("a", 128), "is not sha256:"},
	{"N18 upper case", "oci://h.example/web@sha256:" + strings.Repeat("A", 64), "is not sha256:"},
	{"N18 63 digits", "oci://h.example/web@" + digest[:len(digest)-1], "is not sha256:"},
	{"N18 65 digits", "oci://h.example/web@" + digest + "0", "is not sha256:"},
	{"N18 no digits", "oci://h.example/web:1@", `digest ""`},
	{"N18 two digests", "oci://h.example/web@" + digest + "@" + digest, "is not sha256:"},
}

func TestGood(t *testing.T) {
	for _, tt := range good {
		t.Run(tt.in, func(t *testing.T) {
			ref := chartref.Parse(tt.in)
			if err := ref.Err(); err != nil {
				t.Fatal(err)
			}
			if ref.Kind != tt.kind || ref.String() != tt.want {
				t.Errorf("got %d %q, want %d %q", ref.Kind, ref, tt.kind, tt.want)
			}
		})
	}
}

func TestBad(t *testing.T) {
	for _, tt := range bad {
		t.Run(tt.id, func(t *testing.T) {
			refused(t, chartref.Parse(tt.in), tt.reason)
		})
	}
}

// refused wants a reference that is none, for this reason, and shows nothing
// secret; in this package's tests every secret is hunter2.
func refused(t *testing.T, ref chartref.Ref, reason string) {
	t.Helper()
	if ref.Err() == nil || !strings.Contains(ref.Err().Error(), reason) {
		t.Fatalf("got error %v, want one with %q", ref.Err(), reason)
	}
	if ref.Kind != chartref.Invalid {
		t.Errorf("got kind %d beside an error", ref.Kind)
	}
	if shown := ref.String() + ref.Err().Error(); strings.Contains(shown, "hunter2") {
		t.Errorf("%q shows a secret", shown)
	}
	if len(ref.String()) > 256 || len(ref.Err().Error()) > 512 {
		t.Errorf("text has %d bytes, error %d", len(ref.String()), len(ref.Err().Error()))
	}
}

func TestZeroRefIsNone(t *testing.T) {
	refused(t, chartref.Ref{}, "reference is empty")
}

func TestN19OneCanonicalRef(t *testing.T) {
	for _, spellings := range [][]string{
		{"oci://REG.example.com:443/x:1", "oci://reg.example.com/x:1", "OCI://reg.Example.com/x:1"},
		{"https://REG.example.com:443/x", "https://reg.example.com/x"},
		{"http://REG.example.com:80/x", "http://reg.example.com/x"},
		{"https://[0:0:0:0:0:0:0:1]/x", "https://[::1]:443/x"},
		{"./web", "web", "web/"},
	} {
		want := chartref.Parse(spellings[0])
		for _, s := range spellings[1:] {
			t.Run("N19 "+s, func(t *testing.T) {
				if got := chartref.Parse(s); got.Err() != nil || got.String() != want.String() || got.Host != want.Host {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
	for _, other := range []string{"https://reg.example.com:80/x", "http://reg.example.com/x", "https://reg.example.com:8443/x"} {
		t.Run("N19 another place "+other, func(t *testing.T) {
			if got := chartref.Parse(other); got.String() == "https://reg.example.com/x" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestFieldsForFetching(t *testing.T) {
	ref := chartref.Parse("https://H.example/web.tgz?sig=hunter2")
	if ref.URL != "https://h.example/web.tgz?sig=hunter2" || ref.Scheme != "https" || ref.Host != "h.example" {
		t.Errorf("got %+v", ref)
	}
	ref = chartref.Parse("oci://h.example:5000/charts/web:1.2.3+b@" + digest)
	if ref.Host != "h.example:5000" || ref.OCIPath != "charts/web" || ref.Tag != "1.2.3_b" || ref.Digest != digest || ref.Scheme != "oci" {
		t.Errorf("got %+v", ref)
	}
}

func TestExpected(t *testing.T) {
	for _, tt := range []struct{ in, name, version string }{
		{`"oci://h.example/charts/web:1.2.3"`, "web", "1.2.3"},
		{`"oci://h.example/charts/web:1.2.3-rc.1_b.1"`, "web", "1.2.3-rc.1+b.1"},
		{`"oci://h.example/charts/web:1.2.3+b.1"`, "web", "1.2.3+b.1"},
		{`"oci://h.example/charts/web:v1.2.3"`, "web", "v1.2.3"},
		{`"oci://h.example/charts/web:1.2"`, "web", ""},
		{`"oci://h.example/charts/web:1.2.3_b_c"`, "web", ""},
		{`"oci://h.example/charts/web:latest"`, "web", ""},
		{`"oci://h.example/charts/web@` + digest + `"`, "web", ""},
		{`{"repository": "https://h.example", "name": "web", "version": "1.2.3+b"}`, "web", "1.2.3+b"},
		{`"https://h.example/web-1.2.3.tgz"`, "", ""},
		{`"web-1.2.3.tgz"`, "", ""},
		{`{"archive": "YQ=="}`, "", ""},
	} {
		t.Run(tt.in, func(t *testing.T) {
			ref := chartref.FromJSON([]byte(tt.in))
			if name, version := ref.Expected(); ref.Err() != nil || name != tt.name || version != tt.version {
				t.Errorf("got %q %q (%v), want %q %q", name, version, ref.Err(), tt.name, tt.version)
			}
		})
	}
}

func TestOCIRef(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`{"repository": "oci://H.example/charts/", "name": "web", "version": "1.2.3+b.1"}`, "oci://h.example/charts/web:1.2.3_b.1"},
		{`{"repository": "oci://h.example", "name": "web", "version": "1.2.3"}`, "oci://h.example/web:1.2.3"},
		{`"oci://h.example/web@` + digest + `"`, "oci://h.example/web@" + digest},
	} {
		ref := chartref.FromJSON([]byte(tt.in))
		oci, ok := ref.OCIRef()
		if !ok || oci.Err() != nil || oci.Kind != chartref.OCI || oci.String() != tt.want {
			t.Errorf("%s: got %q %v %v, want %q", tt.in, oci, ok, oci.Err(), tt.want)
		}
	}
	for _, in := range []string{`{"repository": "https://h.example", "name": "web", "version": "1.2.3"}`, `"web.tgz"`, `""`} {
		if oci, ok := chartref.FromJSON([]byte(in)).OCIRef(); ok {
			t.Errorf("%s: got %q", in, oci)
		}
	}
}

const valid = `{"repository": "https://Charts.example.com:443/stable/", "name": "web", "version": "1.2.3"}`

// with is a repository object with another member, or another value of one.
func with(member, value string) string {
	object := map[string]any{"repository": "https://charts.example.com", "name": "web", "version": "1.2.3"}
	object[member] = value
	raw, _ := json.Marshal(object)
	return string(raw)
}

// badJSON has JSON texts that are no reference beside a part of the reason.
var badJSON = []struct{ id, in, reason string }{
	{"N17 number", `17`, "reference is a number"},
	{"N17 null", `null`, "reference is null"},
	{"N17 boolean", `true`, "reference is a boolean"},
	{"N17 list", `["web.tgz"]`, "reference is a list"},
	{"N17 empty string", `""`, "reference is empty"},
	{"empty object", `{}`, "has no repository"},
	{"nothing", ``, "not JSON"},
	{"cut", `{"repository": "https://h.ex`, "not JSON"},
	{"cut after member", `{"archive": "YQ=="`, "not JSON"},
	{"more behind", valid + `{}`, "followed by more"},
	{"invalid UTF-8", "\"\xff\"", "not valid UTF-8"},
	{"duplicate member", `{"name": "good", ` + valid[1:], `member "name" stands there twice`},
	{"unknown member", with("sha256", "x"), `member "sha256"`},
	{"misspelt member", with("Name", "web"), `member "Name"`},
	{"archive and repository", with("archive", "YQ=="), "want archive"},
	{"version missing", `{"repository": "https://h.example", "name": "web"}`, "has no version"},
	{"name is a number", `{"repository": "https://h.example", "name": 1, "version": "1.2.3"}`, "name of the reference object is a number"},
	{"repository is null", `{"repository": null, "name": "web", "version": "1.2.3"}`, "is null"},
	{"archive is a list", `{"archive": ["YQ=="]}`, "is a list"},
	{"archive is empty", `{"archive": ""}`, "is empty"},
	{"base64 with line break", `{"archive": "YWJj\nYWJj"}`, "base64"},
	{"base64 without padding", `{"archive": "YQ"}`, "base64"},
	{"base64 with trailing bits", `{"archive": "YR=="}`, "base64"},
	{"base64 for URLs", `{"archive": "_-8="}`, "base64"},
	{"name empty", with("name", ""), "no chart name"},
	{"name with slash", with("name", "a/b"), "no chart name"},
	{"name is dots", with("name", ".."), "no chart name"},
	{"name with at", with("name", "web@1"), "no chart name"},
	{"version range", with("version", "^1.2.3"), "exact version"},
	{"version with two v", with("version", "vv1.2.3"), "exact version"},
	{"version too long", with("version", "1.2.3-"+strings.Repeat("a", 300)), "exact version"},
	{"repository without scheme", with("repository", "charts.example.com"), "another scheme"},
	{"repository is a file", with("repository", "file:///charts"), "another scheme"},
	{"repository empty", with("repository", ""), "repository: reference is empty"},
	{"repository with query", with("repository", "https://h.example/?t=hunter2"), "has a query"},
	{"repository with fragment", with("repository", "https://h.example/#hunter2"), "fragment"},
	{"repository with userinfo", with("repository", "https://u:hunter2@h.example"), "userinfo"},
	{"repository with two final slashes", with("repository", "https://h.example/a//"), "empty segment"},
	{"repository with two slashes after its host", with("repository", "https://h.example//"), "empty segment"},
	{"repository with dot segments", with("repository", "https://h.example/.."), "dot segment"},
	{"upper-case name in a registry", `{"repository": "oci://h.example", "name": "Web", "version": "1.2.3"}`, `part "Web"`},
	{"repository of a registry with tag", `{"repository": "oci://h.example/a:1", "name": "web", "version": "1.2.3"}`, "tag"},
	{"version too long for a tag", `{"repository": "oci://h.example", "name": "web", "version": "1.2.3-` + strings.Repeat("a", 128) + `"}`, "tag"},
}

func TestObjects(t *testing.T) {
	ref := chartref.FromJSON([]byte(valid))
	if ref.Err() != nil || ref.String() != "https://charts.example.com/stable#web@1.2.3" || ref.URL != "https://charts.example.com/stable" {
		t.Fatalf("got %q %q %v", ref, ref.URL, ref.Err())
	}
	inline := chartref.FromJSON([]byte(`{"archive": "dGVzdA=="}`))
	if inline.Err() != nil || inline.String() != "inline:"+digest || string(inline.Archive) != "test" {
		t.Fatalf("got %q %q %v", inline, inline.Archive, inline.Err())
	}
	for _, tt := range badJSON {
		t.Run(tt.id, func(t *testing.T) { refused(t, chartref.FromJSON([]byte(tt.in)), tt.reason) })
	}
}

func TestFromValueOfOtherTypes(t *testing.T) {
	for _, v := range []any{nil, 1, 1.5, json.Number("1"), true, []any{}, struct{}{}} {
		refused(t, chartref.FromValue(v), "want a string or an object")
	}
}

func TestSecretsOfInvalidReferences(t *testing.T) {
	for _, in := range []string{
		"https://user:hunter2@h.example/web.tgz",
		"https://user:hunt/er2hunter2@h.example/web.tgz#x",
		"https://user:hunter2?x@h.example/web.tgz",
		"https://user:hunter2#x@h.example/web.tgz",
		"https://h.example:x/web.tgz?token=hunter2",
		"https://h.example:x/web.tgz?mail=a@b&token=hunter2",
		"https://user:p@ss@hunter2@h.example/web.tgz",
		"ftp://user:hunter2@h.example/",
		"user:hunter2@h.example/?u=https://x/",
		"https://h.example/web.tgz#hunter2",
	} {
		refused(t, chartref.Parse(in), "")
	}
}

func TestSemVer(t *testing.T) {
	for _, s := range []string{"0.0.0", "1.2.3", "10.20.30", "1.2.3-0", "1.2.3-a.b-c.0a", "1.2.3+001", "1.2.3-x+y-z.0", "1.2.3---", "1.2.3+-"} {
		if !chartref.SemVer(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.2.03", "1.2.3-", "1.2.3+", "1.2.3-01", "1.2.3-a..b", "1.2.3+a+b", "1.2.3-a_b", "1.2.3 ", "1.2.x", "-1.2.3", "1.2.3-é", "٣.2.3"} {
		if chartref.SemVer(s) {
			t.Errorf("%q is accepted", s)
		}
	}
}

// TestR9TextsAreApart wants different texts for references that name
// different things, however their parts concatenate.
func TestR9TextsAreApart(t *testing.T) {
	part := rapid.StringMatching(`[a-c.@#-]{1,4}`)
	draw := func(t *rapid.T) (chartref.Ref, [3]string) {
		parts := [3]string{"https://h.example/" + part.Draw(t, "path"), part.Draw(t, "name"), "1.2.3-" + part.Draw(t, "pre")}
		return chartref.FromValue(map[string]any{"repository": parts[0], "name": parts[1], "version": parts[2]}), parts
	}
	rapid.Check(t, func(t *rapid.T) {
		a, partsA := draw(t)
		b, partsB := draw(t)
		if a.Err() == nil && b.Err() == nil && (a.String() == b.String()) != (partsA == partsB) {
			t.Fatalf("%v and %v give %q and %q", partsA, partsB, a, b)
		}
	})
	archive := chartref.FromValue(map[string]any{"archive": base64.StdEncoding.EncodeToString([]byte("x"))})
	if file := chartref.Parse(archive.String()); file.Kind != chartref.Path || file.String() == archive.String() {
		t.Errorf("the file %q and an inline archive have one text", file)
	}
}

func anyString() *rapid.Generator[string] {
	host := rapid.StringMatching(`([a-zA-Z0-9_-]{1,5}\.){0,2}[a-zA-Z]{1,3}(:[0-9]{1,5})?|\[::[0-9a-f]{1,4}\]`)
	path := rapid.StringMatching(`(/[a-zA-Z0-9@%+~._-]{0,6}){0,3}`)
	tail := rapid.SampledFrom([]string{"", ":1.2.3", ":1.2.3+b", ":1_2", "@" + digest, ":1@" + digest, "?a=b", "#x"})
	scheme := rapid.SampledFrom([]string{"oci://", "https://", "HTTP://", "file://", "", "./"})
	return rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
		return scheme.Draw(t, "scheme") + host.Draw(t, "host") + path.Draw(t, "path") + tail.Draw(t, "tail")
	}))
}

func TestCanonicalFormIsItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkCanonical(t, anyString().Draw(t, "ref")) })
}

type fataler interface{ Fatalf(string, ...any) }

// checkCanonical wants that the canonical form of s reads as what s names, and
// is its own canonical form.
func checkCanonical(t fataler, s string) {
	ref := chartref.Parse(s)
	if ref.Err() != nil {
		if ref.Kind != chartref.Invalid || len(ref.String()) > 256 {
			t.Fatalf("%q: kind %d, text %q beside %v", s, ref.Kind, ref, ref.Err())
		}
		return
	}
	if strings.HasSuffix(ref.String(), "?…") {
		return
	}
	again := chartref.Parse(ref.String())
	if again.Err() != nil || again.String() != ref.String() {
		t.Fatalf("%q: canonical form %q reads as %q, %v", s, ref, again, again.Err())
	}
	if again.Kind != ref.Kind || again.Host != ref.Host || again.URL != ref.URL || again.Path != ref.Path ||
		again.OCIPath != ref.OCIPath || again.Tag != ref.Tag || again.Digest != ref.Digest {
		t.Fatalf("%q: %+v reads as %+v", s, ref, again)
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range good {
		f.Add(tt.in)
	}
	for _, tt := range bad {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) { checkCanonical(t, s) })
}

func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{`"web.tgz"`, `{"archive": "YQ=="}`, `{"repository": "oci://h.example", "name": "web", "version": "1.2.3"}`, `null`, `[`, `{"a": {}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ref := chartref.FromJSON(raw)
		if (ref.Kind == chartref.Invalid) != (ref.Err() != nil) {
			t.Fatalf("kind %d with %v", ref.Kind, ref.Err())
		}
		if oci, ok := ref.OCIRef(); ok && oci.Err() != nil {
			t.Fatalf("%q stands for %q: %v", ref, oci, oci.Err())
		}
		ref.Expected()
	})
}

func TestVersions(t *testing.T) {
	for _, s := range []string{"1.2.3", "v1.2.3", "v1.2.3-rc.1+b"} {
		if !chartref.Version(s) {
			t.Errorf("%q is no version", s)
		}
	}
	for _, s := range []string{"", "v", "vv1.2.3", "V1.2.3", "latest", "2.0", "v2"} {
		if chartref.Version(s) {
			t.Errorf("%q is a version", s)
		}
	}
	for _, pair := range [][2]string{{"1.2.3", "1.2.3"}, {"v1.2.3", "1.2.3"}, {"1.2.3", "v1.2.3"}, {"v1.2.3-rc.1+b", "1.2.3-rc.1+b"}, {"latest", "latest"}} {
		if !chartref.SameVersion(pair[0], pair[1]) {
			t.Errorf("%q is not the same version as %q", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{
		{"1.2.3", "v2.0.0"}, {"1.2.3", "1.2.3+b"}, {"1.2.3+a", "v1.2.3+b"}, {"1.2.3", "v1.2.3-rc.1"}, {"1.2.3", "vv1.2.3"}, {"v1.2.3", "vv1.2.3"},
		{"1.2.3", "V1.2.3"}, {"1.2.3-RC", "1.2.3-rc"}, {"1.2", "1.2.0"}, {"1.2", "v1.2"}, {"1.2.3", "1.2.3 "}, {"alid", "valid"}, {"1.2.3", ""}, {"v", ""},
	} {
		if chartref.SameVersion(pair[0], pair[1]) || chartref.SameVersion(pair[1], pair[0]) {
			t.Errorf("%q is the same version as %q", pair[0], pair[1])
		}
	}
}

// TestReferencesAreWritten keeps in testdata all references of these tests that
// can stand in JSON, good and bad, for others who must read them alike.
func TestReferencesAreWritten(t *testing.T) {
	var values []any
	for _, tt := range good {
		values = append(values, tt.in)
	}
	for _, tt := range bad {
		if utf8.ValidString(tt.in) {
			values = append(values, tt.in)
		}
	}
	for _, tt := range append(badJSON, struct{ id, in, reason string }{in: valid}, struct{ id, in, reason string }{in: `{"archive": "dGVzdA=="}`}) {
		var v any
		if json.Unmarshal([]byte(tt.in), &v) == nil {
			values = append(values, v)
		}
	}
	want, err := json.MarshalIndent(values, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/references.json"
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what these tests have (%v); run go test ./builtins/chartref -update", path, err)
	}
}

var update = flag.Bool("update", false, "write testdata")
