// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/google/go-cmp/cmp"
)

func TestReach(t *testing.T) {
	t.Parallel()
	const local = "loopback, link-local or cloud metadata"
	for address, want := range map[string]string{
		"203.0.113.7": "public", "8.8.8.8": "public", "2001:4860:4860::8888": "public", "172.32.0.1": "public", "100.128.0.1": "public",
		"::ffff:8.8.8.8": "public", "64:ff9b::808:808": "public", "2002:808:808::1": "public", "::ffff:0:808:808": "public", "64:ff9b:2::1": "public", "2001:1::1": "public",

		"127.0.0.1": local, "127.255.255.255": local, "::1": local, "::": local, "0.0.0.0": local, "0.1.2.3": local,
		"169.254.169.254": local, "fe80::1": local, "fe80::1%eth0": local, "febf::1": local,
		"224.0.0.1": local, "ff02::1": local, "255.255.255.255": local,
		"100.100.100.200": local, "192.0.0.192": local, "168.63.129.16": local, "fd00:ec2::254": local, "fd20:ce::254": local,
		"::ffff:127.0.0.1": local, "::ffff:169.254.169.254": local, "::127.0.0.1": local,
		"::ffff:0:127.0.0.1": local, "::ffff:0:a9fe:a9fe": local, "64:ff9b:1::a00:1": local, "64:ff9b:1::a9fe:a9fe": local, "2001::1": local, "2001::a9fe:a9fe": local,
		"64:ff9b::7f00:1": local, "64:ff9b::a9fe:a9fe": local, "2002:7f00:1::": local, "2002:a9fe:a9fe::1": local,

		"10.0.0.1": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.0.1": "private", "100.64.0.1": "private",
		"192.0.0.1": "private", "198.18.0.1": "private", "240.0.0.1": "private", "fc00::1": "private", "fd00::1": "private", "fec0::1": "private",
		"::ffff:10.0.0.1": "private", "64:ff9b::a00:1": "private", "::ffff:0:a00:1": "private", "2002:a00:1::": "private",
	} {
		if got := source.Reach(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s reaches %q, want %q", address, got, want)
		}
	}
}

func TestChallenges(t *testing.T) {
	t.Parallel()
	type challenges = map[string]map[string]string
	for _, c := range []struct {
		headers []string
		want    challenges
	}{
		{nil, challenges{}},
		{[]string{`Basic realm="x"`}, challenges{"basic": {"realm": "x"}}},
		{[]string{`bearer Realm="https://a.example.com/t?x=1,2",service=reg , scope="a b"`}, challenges{"bearer": {"realm": "https://a.example.com/t?x=1,2", "service": "reg", "scope": "a b"}}},
		{[]string{`Basic realm="a", Bearer realm="b"`}, challenges{"basic": {"realm": "a"}, "bearer": {"realm": "b"}}},
		{[]string{`Basic realm="a"`, `Bearer realm="b"`}, challenges{"basic": {"realm": "a"}, "bearer": {"realm": "b"}}},
		{[]string{`Bearer realm="a"`, `Bearer realm="b"`}, challenges{"bearer": {"realm": "a"}}},
		{[]string{`Bearer realm="a \"b\" \\"`}, challenges{"bearer": {"realm": `a "b" \`}}},
		{[]string{`Negotiate`}, challenges{"negotiate": {}}},
		{[]string{`Bearer realm=`}, challenges{"bearer": {"realm": ""}}},
		{[]string{`"`, `=`, `,,`, ``}, challenges{}},
	} {
		if diff := cmp.Diff(c.want, source.ParseChallenges(c.headers)); diff != "" {
			t.Errorf("%q: %s", c.headers, diff)
		}
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	facts := source.NewFacts(1<<20, nil)
	if _, ok := facts.Load("chart", "sha256:1"); ok {
		t.Error("a fact is known that nobody stored")
	}
	facts.Store("chart", "sha256:1", "web", 100)
	facts.Store("ring", "sha256:1", "keys", 100)
	for kind, want := range map[string]string{"chart": "web", "ring": "keys"} {
		if got, ok := facts.Load(kind, "sha256:1"); !ok || got != want {
			t.Errorf("%s is %v, want %s", kind, got, want)
		}
	}
	if source.NewFacts(0, nil) != nil {
		t.Error("0 bytes remember something")
	}
}

func TestFactsAreBounded(t *testing.T) {
	t.Parallel()
	facts := source.NewFacts(1<<20, nil)
	digest := func(i int) string { return fmt.Sprintf("sha256:%064d", i) }
	count := func() (n int) {
		for i := range 1000 {
			if _, ok := facts.Load("chart", digest(i)); ok {
				n++
			}
		}
		return n
	}
	for i := range 1000 {
		facts.Store("chart", digest(i), i, 64<<10)
	}
	facts.Store("chart", "sha256:huge", 0, 1<<40)
	for range 100 { // eviction is done beside
		if count() <= 16 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := count(); n == 0 || n > 16 {
		t.Errorf("%d facts of 64 KiB are in 1 MiB", n)
	}
	if _, ok := facts.Load("chart", "sha256:huge"); ok {
		t.Error("a fact larger than everything is kept")
	}
}

func TestMap(t *testing.T) {
	t.Parallel()
	const oci = "oci://reg.example.com/charts/web:1.2.3"
	dir := fstest.MapFS{"Chart.yaml": {}}
	files := source.Map{
		"web-1.2.3.tgz":                          {Data: archive},
		"web-1.2.3.tgz.prov":                     {Data: prov},
		"web-1.2.3.tgz.json":                     {Data: []byte("{}")},
		oci:                                      {Data: archive, Prov: prov, Digest: "sha256:1", Config: []byte("{}")},
		"https://charts.example.com#web@1.2.3":   {Data: archive, Prov: prov, FileName: "web-1.2.3.tgz", Repository: "https://charts.example.com"},
		"https://charts.example.com/bad.tgz":     {Data: archive, ArchiveDigest: builtins.SHA256(prov)},
		"https://charts.example.com/down.tgz":    {Err: builtins.Errorf(builtins.Unavailable, "down")},
		"https://charts.example.com/pubkeys.pgp": {Data: []byte("keys")},
		"web":                                    {Dir: dir},
	}
	t.Run("archives", func(t *testing.T) {
		for _, ref := range []any{"web-1.2.3.tgz", oci, entryOf("https://charts.example.com", "web", "1.2.3")} {
			got, err := readArchive(t.Context(), files, reference(t, ref))
			wantBytes(t, got, err, archive)
			got, err = readProv(t.Context(), files, reference(t, ref))
			wantBytes(t, got, err, prov)
		}
	})
	t.Run("info", func(t *testing.T) {
		for ref, want := range map[string]builtins.ArtifactInfo{
			"web-1.2.3.tgz": {FileName: "web-1.2.3.tgz"},
			oci:             {Digest: "sha256:1", ArchiveDigest: builtins.SHA256(archive)},
			"web":           {FileName: "web", Directory: true},
		} {
			a, err := files.Resolve(t.Context(), reference(t, ref))
			if err != nil || a.Info() != want {
				t.Errorf("%s: info is %+v, %v", ref, a.Info(), err)
			}
		}
	})
	t.Run("faults", func(t *testing.T) {
		for ref, want := range map[string]builtins.Code{
			"https://charts.example.com/bad.tgz":  builtins.DigestMismatch,
			"https://charts.example.com/down.tgz": builtins.Unavailable,
			"https://charts.example.com/none.tgz": builtins.NotFound,
			"web":                                 builtins.NotAChart,
		} {
			_, err := readArchive(t.Context(), files, reference(t, ref))
			wantCode(t, err, want)
		}
		_, err := files.Resolve(t.Context(), chartref.Parse(""))
		wantCode(t, err, builtins.InvalidReference)
		_, err = readProv(t.Context(), files, reference(t, "web"))
		wantCode(t, err, builtins.NotFound)
	})
	t.Run("files", func(t *testing.T) {
		got, err := files.Allowing([]string{}).Fetch(t.Context(), "https://charts.example.com/pubkeys.pgp", 4)
		wantBytes(t, got, err, []byte("keys"))
		_, err = files.Fetch(t.Context(), "https://charts.example.com/pubkeys.pgp", 3)
		wantCode(t, err, builtins.TooLarge)
		got, err = readConfig(t.Context(), files, reference(t, oci))
		wantBytes(t, got, err, []byte("{}"))
		a, err := files.Resolve(t.Context(), reference(t, "web-1.2.3.tgz"))
		if err != nil {
			t.Fatal(err)
		}
		got, err = a.Beside(t.Context(), ".json", 10)
		wantBytes(t, got, err, []byte("{}"))
	})
}
