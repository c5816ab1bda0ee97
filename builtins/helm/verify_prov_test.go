// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/builtintest"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/helm"
	"github.com/chartseal/chartseal/builtins/keyring"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
)

func TestReport(t *testing.T) {
	s := newScene()
	digest := builtins.SHA256(s.archive)
	want := builtins.Report{
		Verified: true, Outcome: "verified", Code: "ok", Reason: "verified", Ref: webRef, Digest: digest,
		Chart: builtins.Chart{Name: "web", Version: "1.0.0", Digest: digest},
		Checks: []builtins.CheckResult{
			{Name: "provenance file", Status: "pass"},
			{Name: "provenance signature", Status: "pass", Detail: "signed by " + alice.Fingerprint() + " at 2024-01-01T01:00:00Z"},
			{Name: "archive digest", Status: "pass"},
			{Name: "chart metadata", Status: "pass"},
			{Name: "registry config", Status: "skipped", Detail: "chart is in no registry"},
			{Name: "file name", Status: "pass"},
			{Name: "requested chart", Status: "skipped", Detail: "reference and options ask for no name or version"},
		},
		Trust: builtins.TrustDigest(builtins.InlineMaterial(s.rings["team"])),
		Evidence: builtins.Signatures{Signers: []builtins.Signer{{
			Kind: "pgp", Name: "team", Fingerprint: alice.Fingerprint(), Algorithm: "ed25519",
			UserIDs: []string{"Alice <alice@example.com>"}, SignedAt: "2024-01-01T01:00:00Z",
		}}},
	}
	if diff := cmp.Diff(want, s.call(t)); diff != "" {
		t.Error(diff)
	}
}

func TestReportOfARejection(t *testing.T) {
	s := newScene()
	s.archive = forge.Archive(forge.Chart("web", "1.0.0")...)
	rep := s.want(t, builtins.DigestMismatch)
	if want := "archive is " + builtins.SHA256(s.archive) + ", provenance says " + s.sum; rep.Reason != want {
		t.Errorf("got reason %q, want %q", rep.Reason, want)
	}
	if got := signers(rep); !slices.Equal(got, []string{alice.Fingerprint()}) {
		t.Errorf("signers are %v: the signature did verify", got)
	}
	if last := rep.Checks[len(rep.Checks)-1]; last.Name != "archive digest" || last.Status != builtins.Fail {
		t.Errorf("last check is %v", last)
	}
	s = newScene()
	s.sign = signedBy(mallory, forge.SignatureSpec{})
	if got := signers(s.want(t, builtins.UntrustedSigner)); len(got) > 0 {
		t.Errorf("signers are %v, none is trusted", got)
	}
}

func TestAlgorithms(t *testing.T) {
	for key, want := range map[*forge.Key]string{alice: "ed25519", bob: "nistp256", rsaSigner: "rsa2048", v6Signer: "ed25519", newSigner: "ed25519"} {
		s := newScene()
		trusted(key, key)(s)
		if got := s.want(t, builtins.OK).Evidence.(builtins.Signatures).Signers[0].Algorithm; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Every byte of the archive counts, whatever else the change breaks.
func TestFlippedBytes(t *testing.T) {
	s := newScene()
	prov := s.provenance()
	s.edit = func(string) string { return prov }
	for i := 0; i < len(s.archive); i += 997 {
		s.archive[i] ^= 1
		s.want(t, builtins.DigestMismatch)
		s.archive[i] ^= 1
	}
	s.want(t, builtins.OK)
}

// colliding gives two keys with one 64-bit id, the wrong one first.
type colliding struct{ keyring.Set }

func (c colliding) Candidates(id uint64) []keyring.Candidate {
	right := c.Set.Candidates(id)
	wrong := c.Set.Candidates(bob.Private.KeyId)[0]
	entity, primary := *wrong.Entity, *wrong.Entity.PrimaryKey
	primary.KeyId, entity.PrimaryKey = id, &primary
	return append([]keyring.Candidate{{Entity: &entity}}, right...)
}

func TestCollidingKeyIDs(t *testing.T) {
	s := newScene()
	ring, err := keyring.Parse(s.rings["team"])
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := archive.ParseMetadata([]byte(s.metadata))
	if err != nil {
		t.Fatal(err)
	}
	subject := helm.Subject{Digest: s.sum, Metadata: metadata}
	set := keyring.Set{{Name: "team", Ring: ring}}
	for name, test := range map[string]struct {
		keys helm.Keyring
		prov string
		code builtins.Code
	}{
		"P22 right one second":  {colliding{set}, s.provenance(), builtins.OK},
		"P22 right one alone":   {set, s.provenance(), builtins.OK},
		"P22 signed by neither": {colliding{set}, forge.Clearsigned(s.signedText(), alice.Sign("another text", forge.SignatureSpec{})), builtins.BadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := helm.VerifyProvenance(subject, []byte(test.prov), helm.Trust{Keys: test.keys}, builtins.DefaultLimits(), s.now)
			if builtins.CodeOf(err) != test.code {
				t.Fatalf("got %v, want %s", err, test.code)
			}
			if err == nil && p.Signers[0].Fingerprint != alice.Fingerprint() {
				t.Errorf("signed by %v", p.Signers)
			}
		})
	}
}

// No signature packet may cost more than its size.
func TestCostOfHostileSignatures(t *testing.T) {
	for name, packet := range map[string][]byte{
		"P25 nested 10,000 deep": forge.NestedSignature(10_000),
		"P25 length of 4 GiB":    {0xc2, 255, 255, 255, 255, 255, 4, 1, 22, 10, 255, 255},
		"P25 many subpackets":    append([]byte{0xc2, 255, 0, 1, 0, 0, 4, 1, 22, 10, 0xff, 0xf0}, make([]byte, 1<<16-6)...),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.sign = raw(packet)
			env, opts := s.env(), []byte(`{"keyrings": ["team"]}`)
			fastest, least := time.Hour, uint64(1<<40)
			for range 5 { // other work of this machine is not meant
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := time.Now()
				rep := helm.VerifyProv.Call(context.Background(), env, chartref.Parse(s.ref), opts)
				fastest = min(fastest, time.Since(start))
				runtime.ReadMemStats(&after)
				least = min(least, after.TotalAlloc-before.TotalAlloc)
				if rep.Code != builtins.BadSignature {
					t.Fatalf("got %s (%s)", rep.Code, rep.Reason)
				}
			}
			if least > 16<<20 || fastest > 50*time.Millisecond {
				t.Errorf("allocated %d bytes and took %s", least, fastest)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	inline := alice.ArmoredPublic()
	binary := base64.StdEncoding.EncodeToString(append(alice.Public(), bob.Public()...))
	fingerprint := alice.Fingerprint()
	for name, test := range map[string]struct {
		opts   string
		reason string // "" verifies
	}{
		"named":                     {`{"keyrings": ["team"]}`, ""},
		"inline armored":            {`{"keyring": ` + quote(inline) + `}`, ""},
		"inline base64":             {`{"keyring": ` + quote(binary) + `}`, ""},
		"inline keybox":             {`{"keyring": ` + quote(base64.StdEncoding.EncodeToString(forge.Keybox(alice.Public()))) + `}`, ""},
		"named and inline together": {`{"keyrings": ["other"], "keyring": ` + quote(inline) + `}`, ""},
		"threshold 1, key_time now": {`{"keyrings": ["team"], "threshold": 1, "key_time": "now"}`, ""},
		"signers":                   {`{"keyrings": ["team"], "signers": ["` + fingerprint + `"]}`, ""},

		"R4 no keys":                          {`{}`, "no keys are trusted"},
		"R4 empty lists":                      {`{"keyrings": []}`, "no keys are trusted"},
		"R4 only revoked":                     {`{"revoked": ` + quote(inline) + `}`, "no keys are trusted"},
		"R4 unknown name":                     {`{"keyrings": ["nobody"]}`, `helm.verify_prov: keyrings: no keyring is called "nobody"`},
		"R4 unknown revoked name":             {`{"keyrings": ["team"], "revoked_keyrings": ["nobody"]}`, `revoked_keyrings: no keyring is called "nobody"`},
		"R4 unknown field":                    {`{"keyring_names": ["team"]}`, "unknown field"},
		"R4 wrong type":                       {`{"keyrings": "team"}`, "options.keyrings"},
		"R4 null":                             {`{"keyrings": null}`, "null"},
		"R4 inline empty":                     {`{"keyring": "", "keyrings": ["team"]}`, "keyring: holds no OpenPGP key"},
		"R4 inline not a key":                 {`{"keyring": "the team's"}`, "keyring: neither an armored keyring nor base64"},
		"R4 inline without a key":             {`{"keyring": ` + quote(base64.StdEncoding.EncodeToString(alice.Revocation(nil, forge.Epoch))) + `}`, "holds no OpenPGP key"},
		"R4 inline private message":           {`{"keyring": ` + quote(forge.Armor("MESSAGE", alice.Public())) + `}`, "not a key"},
		"R4 inline over the limit":            {`{"keyring": ` + quote(base64.StdEncoding.EncodeToString(make([]byte, 4<<10+1))) + `}`, "exceeds the limit"},
		"R4 revoked empty":                    {`{"keyrings": ["team"], "revoked": ""}`, "revoked: holds no OpenPGP key"},
		"R4 signers empty":                    {`{"keyrings": ["team"], "signers": []}`, "signers is empty"},
		"R4 signers a key id":                 {`{"keyrings": ["team"], "signers": ["` + fingerprint[24:] + `"]}`, "not 40 or 64"},
		"R4 threshold 0":                      {`{"keyrings": ["team"], "threshold": 0}`, "threshold is 0"},
		"R4 threshold -1":                     {`{"keyrings": ["team"], "threshold": -1}`, "threshold is -1"},
		"R4 threshold above signers":          {`{"keyrings": ["team"], "threshold": 2, "signers": ["` + fingerprint + `", "` + strings.ToLower(fingerprint) + `"]}`, "signers names 1 keys"},
		"R4 key_time":                         {`{"keyrings": ["team"], "key_time": "Now"}`, `key_time is "Now"`},
		"signers as gpg shows them":           {`{"keyrings": ["team"], "signers": ["` + fingerprint[:20] + "  " + fingerprint[20:] + `"]}`, ""},
		"R4 inline a name":                    {`{"keyring": "platform"}`, "keyring is not an OpenPGP keyring; names of keyrings go in keyrings"},
		"R4 revoked a name":                   {`{"keyrings": ["team"], "revoked": "gone"}`, "revoked is not an OpenPGP keyring; names of keyrings go in revoked_keyrings"},
		"R4 named keyring is none":            {`{"keyrings": ["text"]}`, `keyrings: keyring "text": not an OpenPGP keyring: `},
		"R4 provenance of unknown scheme":     {`{"keyrings": ["team"], "provenance": "ftp://h.example/x.prov"}`, `provenance: scheme "ftp" is unknown`},
		"R4 provenance in a registry":         {`{"keyrings": ["team"], "provenance": "oci://h.example/x:1"}`, "want an https URL or a path"},
		"R4 provenance with userinfo":         {`{"keyrings": ["team"], "provenance": "https://u:p@h.example/x.prov"}`, "provenance: "},
		"R4 provenance after an empty line":   {`{"keyrings": ["team"], "provenance": "\n-----BEGIN PGP SIGNED MESSAGE-----"}`, "provenance is a text that does not begin with"},
		"R4 provenance a bare signature":      {`{"keyrings": ["team"], "provenance": "-----BEGIN PGP SIGNATURE-----"}`, "provenance is a text that does not begin with"},
		"R4 provenance of two lines":          {`{"keyrings": ["team"], "provenance": "a\nb"}`, "unprintable character U+000A"},
		"R4 repository URL of unknown scheme": {`{"repository_keyring": {"root_keyrings": ["team"], "url": "htps://x.example/pubkeys.pgp"}}`, `repository_keyring.url: scheme "htps" is unknown`},
		"R4 repository URL without scheme":    {`{"repository_keyring": {"root_keyrings": ["team"], "url": "x.example/pubkeys.pgp"}}`, "want a URL with its scheme"},
		"R4 repository URL in a registry":     {`{"repository_keyring": {"root_keyrings": ["team"], "url": "oci://x.example/y:1"}}`, "want an https URL or a path"},
		"R4 repository URL with userinfo":     {`{"repository_keyring": {"root_keyrings": ["team"], "url": "https://u:p@x.example/pubkeys.pgp"}}`, "repository_keyring.url: "},
		"R4 provenance empty":                 {`{"keyrings": ["team"], "provenance": ""}`, "provenance is empty"},
		"R4 chart name empty":                 {`{"keyrings": ["team"], "chart": {"name": ""}}`, "chart.name is empty"},
		"R4 chart version empty":              {`{"keyrings": ["team"], "chart": {"version": ""}}`, "chart.version is empty"},
		"R4 repository without root":          {`{"repository_keyring": {}}`, "trusts no root key"},
		"R4 repository with unknown":          {`{"repository_keyring": {"root_keyrings": ["nobody"]}}`, "repository_keyring: root_keyrings"},
		"R4 repository and keyrings":          {`{"keyrings": ["team"], "repository_keyring": {"root_keyrings": ["team"]}}`, "give one of them"},
		"R4 repository and keyring":           {`{"keyring": ` + quote(inline) + `, "repository_keyring": {"root_keyrings": ["team"]}}`, "give one of them"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.rings["other"], s.rings["text"] = bob.Public(), []byte("no key")
			env := s.env()
			env.Limits.Trust = 4 << 10
			for _, ref := range []string{s.ref, "ftp://x", "https://nowhere.example.com/x.tgz"} {
				rep := builtintest.Ask(t, helm.VerifyProv, env, ref, []byte(test.opts))
				if test.reason == "" {
					if ref == s.ref && !rep.Verified {
						t.Errorf("%s: %s", rep.Code, rep.Reason)
					}
					continue
				}
				if rep.Code != builtins.InvalidOptions || !strings.Contains(rep.Reason, test.reason) {
					t.Errorf("%s: got %s (%s), want …%s…", ref, rep.Code, rep.Reason, test.reason)
				}
			}
		})
	}
}

func TestNoTrustStore(t *testing.T) {
	env := newScene().env()
	env.Trust = nil
	rep := helm.VerifyProv.Call(context.Background(), env, chartref.Parse(webRef), []byte(`{"keyrings": ["team"]}`))
	if rep.Code != builtins.InvalidOptions {
		t.Errorf("got %s (%s)", rep.Code, rep.Reason)
	}
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Trust names all the material that took part, in whatever order.
func TestTrustDigest(t *testing.T) {
	s := newScene()
	s.rings["other"] = bob.Public()
	s.opts = map[string]any{"keyrings": []string{"team", "other"}}
	first := s.want(t, builtins.OK).Trust
	s.opts = map[string]any{"keyrings": []string{"other", "team"}}
	if got := s.want(t, builtins.OK).Trust; got != first {
		t.Error("order of names changes the digest")
	}
	s.opts["revoked"] = mallory.ArmoredPublic()
	if got := s.want(t, builtins.OK).Trust; got == first {
		t.Error("revoked keys do not change the digest")
	}
	publishing(rootSigned(root))(s)
	want := builtins.TrustDigest(builtins.InlineMaterial(root.Public()), builtins.InlineMaterial(published))
	if got := s.want(t, builtins.OK).Trust; got != want {
		t.Errorf("trust of a repository keyring is %s, want %s", got, want)
	}
}

// What is remembered never changes a verdict, and is used.
func TestFacts(t *testing.T) {
	remembered := new(facts)
	for range 2 {
		for _, test := range catalogue {
			s := newScene()
			test.bad(s)
			s.facts = remembered
			s.want(t, test.code)
			twin := newScene()
			if test.twin != nil {
				test.twin(twin)
			}
			twin.facts = remembered
			twin.want(t, builtins.OK)
		}
	}
}

func TestArchiveOfARegistryIsReadOnce(t *testing.T) {
	s := newScene()
	inRegistry(config)(s)
	s.facts = new(facts)
	env := s.env()
	opened := &openings{Source: env.Source}
	env.Source = opened
	for range 3 {
		if rep := helm.VerifyProv.Call(context.Background(), env, chartref.Parse(s.ref), []byte(`{"keyrings": ["team"]}`)); !rep.Verified {
			t.Fatalf("%s: %s", rep.Code, rep.Reason)
		}
	}
	if opened.count != 1 {
		t.Errorf("archive was opened %d times", opened.count)
	}
}

// openings counts how often an archive is opened.
type openings struct {
	builtins.Source
	count int
}

func (o *openings) Resolve(ctx context.Context, ref chartref.Ref) (builtins.Artifact, error) {
	a, err := o.Source.Resolve(ctx, ref)
	return &opening{a, o}, err
}

type opening struct {
	builtins.Artifact
	by *openings
}

func (o *opening) Open(ctx context.Context) (r io.ReadCloser, err error) {
	o.by.count++
	return o.Artifact.Open(ctx)
}

// An archive that serves other bytes than the index says is noticed, even if
// the bytes that it should have were read before.
func TestArchiveBehindAURLIsAlwaysRead(t *testing.T) {
	s := newScene()
	s.facts = new(facts)
	s.served = source.Map{s.ref: {Data: s.archive, ArchiveDigest: s.sum}}
	s.want(t, builtins.OK)
	s.served = source.Map{s.ref: {Data: s.archive[1:], ArchiveDigest: s.sum}}
	s.want(t, builtins.DigestMismatch)
}

func TestManyGoroutines(t *testing.T) {
	s := newScene()
	s.facts = new(facts)
	trusted(sub, withSub, expiring, alice)(s)
	env := s.env()
	want := helm.VerifyProv.Call(context.Background(), env, chartref.Parse(s.ref), []byte(`{"keyrings": ["team"]}`))
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			then := *env
			then.Now = env.Now.Add(time.Duration(i) * time.Hour)
			got := helm.VerifyProv.Call(context.Background(), &then, chartref.Parse(s.ref), []byte(`{"keyrings": ["team"]}`))
			if !got.Verified || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	all.Wait()
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rep := helm.VerifyProv.Call(ctx, newScene().env(), chartref.Parse(webRef), []byte(`{"keyrings": ["team"]}`))
	if rep.Code != builtins.Timeout {
		t.Errorf("got %s (%s)", rep.Code, rep.Reason)
	}
}

// A large archive is streamed, a small one held.
func TestLargeArchive(t *testing.T) {
	s := newScene()
	s.archive = forge.Archive(forge.Chart("web", "1.0.0", forge.Entry{Name: "a.txt", Body: noise(4<<20 + 1<<17)}, forge.Entry{Name: "b.txt", Body: noise(4<<20 + 1<<17)})...)
	s.sum = builtins.SHA256(s.archive)
	if len(s.archive) <= 8<<20 {
		t.Fatalf("only %d bytes", len(s.archive))
	}
	s.want(t, builtins.OK)
	s.facts = new(facts)
	s.want(t, builtins.OK)
	s.archive[len(s.archive)/2] ^= 1
	s.want(t, builtins.DigestMismatch)
}

func BenchmarkVerifyProv(b *testing.B) {
	for name, key := range map[string]*forge.Key{"ed25519": alice, "rsa3072": forge.NewKey(forge.KeySpec{Algorithm: "rsa3072"}), "p256": bob} {
		for _, kind := range []string{"warm", "cold"} {
			b.Run(kind+"/"+name, func(b *testing.B) {
				s := newScene()
				trusted(key, key)(s)
				if kind == "warm" {
					s.facts = new(facts)
				}
				env, ref, opts := s.env(), chartref.Parse(s.ref), []byte(`{"keyrings": ["team"]}`)
				for b.Loop() {
					if rep := helm.VerifyProv.Call(context.Background(), env, ref, opts); !rep.Verified {
						b.Fatal(rep.Reason)
					}
				}
			})
		}
	}
}

// BenchmarkBaseline is what a warm call cannot save: reading and hashing.
func BenchmarkBaseline(b *testing.B) {
	s := newScene()
	prov := []byte(s.provenance())
	for b.Loop() {
		builtins.SHA256(s.archive)
		builtins.SHA256(prov)
	}
}
