// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	rootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

var byIdentityOf = object{"identities": []object{{"issuer": issuer, "subject": subject}}, "trusted_root": "ours"}

func (w *world) keyless() *vsig.Signer {
	return w.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer})
}

func TestBundleVersions(t *testing.T) {
	for _, version := range []string{"0.1", "0.2", "0.3"} {
		for name, options := range map[string]object{"identity": byIdentityOf, "key": byRelease} {
			t.Run(version+", "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				signer := w.key
				if name == "identity" {
					signer = w.keyless()
				}
				w.attach(signer.Statement(w.digest, vsig.SignPredicate, nil).Log(w.vs.Rekor, at).Bundle(version))
				expect(t, w.call(w.ref(), options), builtins.OK)
			})
		}
	}
}

// TestBundleJSON is C22: text that is nearly a bundle.
func TestBundleJSON(t *testing.T) {
	replace := func(expression, by string) func([]byte) []byte {
		return func(raw []byte) []byte {
			changed := regexp.MustCompile(expression).ReplaceAll(raw, []byte(by))
			if bytes.Equal(raw, changed) {
				panic(expression + " is not there")
			}
			return changed
		}
	}
	lacking := func(part func(*bundlepb.Bundle)) func([]byte) []byte {
		return func(raw []byte) []byte {
			b := new(bundlepb.Bundle)
			if err := protojson.Unmarshal(raw, b); err != nil {
				panic(err)
			}
			part(b)
			out, err := protojson.Marshal(b)
			if err != nil {
				panic(err)
			}
			return out
		}
	}
	entry := func(edit func(*bundlepb.Bundle)) func([]byte) []byte { return lacking(edit) }
	for name, edit := range map[string]func([]byte) []byte{
		"C22 certificate is null":          replace(`"certificate": ?\{[^}]*\}`, `"certificate":null`),
		"C22 number for a string":          replace(`"mediaType": ?"[^"]*"`, `"mediaType":3`),
		"C22 certificate without bytes":    replace(`"rawBytes": ?"[^"]*"`, `"rawBytes":""`),
		"C22 certificate is no base64":     replace(`"rawBytes": ?"[^"]*"`, `"rawBytes":"-*-"`),
		"C22 certificate is none":          replace(`"rawBytes": ?"[^"]*"`, `"rawBytes":"AAAA"`),
		"C22 unknown version":              replace(`v0\.3`, `v0.9`),
		"C22 unknown member":               replace(`^\{`, `{"x":1,`),
		"C22 member twice":                 replace(`^\{`, `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",`),
		"C22 two values":                   func(raw []byte) []byte { return append(raw, raw...) },
		"C22 cut":                          func(raw []byte) []byte { return raw[:len(raw)/2] },
		"C22 empty":                        func([]byte) []byte { return nil },
		"C22 null":                         func([]byte) []byte { return []byte("null") },
		"C22 nested 100,000 deep":          func([]byte) []byte { return bytes.Repeat([]byte("["), 100_000) },
		"C22 no material":                  lacking(func(b *bundlepb.Bundle) { b.VerificationMaterial = nil }),
		"C22 no content":                   lacking(func(b *bundlepb.Bundle) { b.Content = nil }),
		"C22 no signer":                    lacking(func(b *bundlepb.Bundle) { b.VerificationMaterial.Content = nil }),
		"C22 entry without log":            entry(func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries[0].LogId = nil }),
		"C22 entry without kind":           entry(func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries[0].KindVersion = nil }),
		"C22 entry without body":           entry(func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries[0].CanonicalizedBody = nil }),
		"C22 entry whose body is an empty": entry(func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries[0].CanonicalizedBody = []byte("{}") }),
		"C22 entry of a kind without spec": entry(func(b *bundlepb.Bundle) {
			b.VerificationMaterial.TlogEntries[0].CanonicalizedBody = []byte(`{"apiVersion":"0.0.1","kind":"dsse","spec":{}}`)
		}),
		"C22 entry without checkpoint": entry(func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries[0].InclusionProof.Checkpoint = nil }),
	} {
		for _, r := range []route{routes[0], routes[5]} {
			t.Run(name+", "+r.name, func(t *testing.T) {
				t.Parallel()
				if r.shape == blob && strings.Contains(name, "dsse") {
					t.Skip("a file has no such entry")
				}
				_, rep := r.run(t, change{bundle: edit})
				expect(t, rep, builtins.MalformedBundle)
			})
		}
	}
	for name, edit := range map[string]func([]byte) []byte{
		"two signatures in an envelope": lacking(func(b *bundlepb.Bundle) {
			e := b.GetDsseEnvelope()
			e.Signatures = append(e.Signatures, e.Signatures[0])
		}),
		"no signature in an envelope": lacking(func(b *bundlepb.Bundle) { b.GetDsseEnvelope().Signatures = nil }),
	} {
		t.Run(name, func(t *testing.T) {
			_, rep := routes[0].run(t, change{bundle: edit})
			expect(t, rep, builtins.MalformedBundle)
		})
	}
	for name, part := range map[string]func(*bundlepb.VerificationMaterial){
		"33 log entries": func(m *bundlepb.VerificationMaterial) {
			for len(m.TlogEntries) < 33 {
				m.TlogEntries = append(m.TlogEntries, m.TlogEntries[0])
			}
		},
		"33 timestamps": func(m *bundlepb.VerificationMaterial) {
			for len(m.TimestampVerificationData.Rfc3161Timestamps) < 33 {
				m.TimestampVerificationData.Rfc3161Timestamps = append(m.TimestampVerificationData.Rfc3161Timestamps, m.TimestampVerificationData.Rfc3161Timestamps[0])
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, rep := routes[1].run(t, change{bundle: lacking(func(b *bundlepb.Bundle) { part(b.VerificationMaterial) })})
			expect(t, rep, builtins.TooMany)
		})
	}
	t.Run("1,025 subjects", func(t *testing.T) {
		many := strings.Repeat(`{"digest":{"sha256":"00"}},`, 1024)
		_, rep := routes[7].run(t, change{sign: statementText(`"subject":[`, `"subject":[`+many)})
		expect(t, rep, builtins.TooMany)
	})
}

// TestLayerAnnotations is C22 for simple signing.
func TestLayerAnnotations(t *testing.T) {
	const cert, chain, log, stamp = "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/chain", "dev.sigstore.cosign/bundle", "dev.sigstore.cosign/rfc3161timestamp"
	body := func(text string) func(string) string {
		return func(old string) string {
			return regexp.MustCompile(`"body":"[^"]*"`).ReplaceAllString(old, `"body":"`+base64.StdEncoding.EncodeToString([]byte(text))+`"`)
		}
	}
	to := func(text string) func(string) string { return func(string) string { return text } }
	for name, tt := range map[string]struct {
		annotation string
		edit       func(string) string
		code       builtins.Code
	}{
		"no signature":                 {"dev.cosignproject.cosign/signature", to(""), builtins.MalformedBundle},
		"certificate is no PEM":        {cert, to("x"), builtins.MalformedBundle},
		"certificate is a key":         {cert, to(string(shared.key.PublicKey())), builtins.MalformedBundle},
		"certificate followed by more": {cert, func(s string) string { return s + "x" }, builtins.MalformedBundle},
		"two certificates":             {cert, func(s string) string { return s + s }, builtins.MalformedBundle},
		"chain is no PEM":              {chain, to("x"), builtins.MalformedBundle},
		"chain of 11":                  {chain, func(s string) string { return strings.Repeat(s, 6) }, builtins.TooMany},
		"log is no JSON":               {log, to("{"), builtins.MalformedBundle},
		"log names a member twice":     {log, func(s string) string { return strings.Replace(s, "{", `{"Payload":{},`, 1) }, builtins.MalformedBundle},
		"log body is a number":         {log, to(`{"SignedEntryTimestamp":"AA==","Payload":{"body":1}}`), builtins.MalformedBundle},
		"log body is null":             {log, to(`{"SignedEntryTimestamp":"AA==","Payload":{}}`), builtins.MalformedBundle},
		"log body is no entry":         {log, body("{}"), builtins.MalformedBundle},
		"log entry without spec":       {log, body(`{"apiVersion":"0.0.1","kind":"hashedrekord"}`), builtins.MalformedBundle},
		"log entry with an empty spec": {log, body(`{"apiVersion":"0.0.1","kind":"rekord","spec":{}}`), builtins.MalformedBundle},
		"log ID is no hexadecimal":     {log, func(s string) string { return regexp.MustCompile(`"logID":"..`).ReplaceAllString(s, `"logID":"zz`) }, builtins.MalformedBundle},
		"log without promise": {log, func(s string) string {
			return regexp.MustCompile(`"SignedEntryTimestamp":"[^"]*"`).ReplaceAllString(s, `"SignedEntryTimestamp":""`)
		}, builtins.TransparencyLog},
		"entry of an envelope": {log, body(envelopeEntry()), builtins.TransparencyLog},
		"timestamp is no JSON": {stamp, to("x"), builtins.MalformedBundle},
		"timestamp is empty":   {stamp, to("{}"), builtins.MalformedBundle},
		"timestamp is none":    {stamp, to(`{"SignedRFC3161Timestamp":"AAAA"}`), builtins.Timestamp},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, rep := routes[3].run(t, change{layer: annotation(tt.annotation, tt.edit)})
			expect(t, rep, tt.code)
		})
	}
}

func envelopeEntry() string {
	sig := shared.key.Envelope([]byte("{}")).Log(shared.vs.Rekor, at)
	return string(sig.Entries[0].CanonicalizedBody)
}

// TestTimestampsOfNobody is about default options: what the root cannot judge
// is left aside, as cosign does.
func TestTimestampsOfNobody(t *testing.T) {
	for _, r := range where(func(r route) bool { return r.log == 1 && !r.stamp }) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			stampedByAnother := func(w *world, s *vsig.Signature) { s.Log(w.vs.Rekor, at).Stamp(vsig.New(at), at) }
			_, rep := r.run(t, change{log: stampedByAnother})
			expect(t, rep, builtins.Timestamp)
			_, rep = r.run(t, change{log: stampedByAnother, options: func(w *world, _ object) {
				w.trust.roots["ours"] = w.vs.Root(func(tr *rootpb.TrustedRoot) { tr.TimestampAuthorities = nil })
			}})
			expect(t, rep, builtins.OK)
		})
	}
	t.Run("key without a root", func(t *testing.T) {
		w := newWorld(t)
		w.attach(w.key.Statement(w.digest, vsig.SignPredicate, nil).LogV2(w.vs.RekorV2).Stamp(w.vs, at).Bundle("0.3"))
		expect(t, w.call(w.ref(), byRelease), builtins.OK)
	})
}

func TestLogIfPresent(t *testing.T) {
	options := object{"public_keys": []string{"release"}, "trusted_root": "ours", "transparency_log": "if_present"}
	for name, tt := range map[string]struct {
		log  func(*world, *vsig.Signature)
		code builtins.Code
	}{
		"absent":         {func(*world, *vsig.Signature) {}, builtins.OK},
		"present":        {logOnly, builtins.OK},
		"of another one": {anothersEntry, builtins.TransparencyLog},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			sig := w.key.Statement(w.digest, vsig.SignPredicate, nil)
			tt.log(w, sig)
			w.attach(sig.Bundle("0.3"))
			expect(t, w.call(w.ref(), options), tt.code)
		})
	}
}

func TestArchives(t *testing.T) {
	t.Run("not there", func(t *testing.T) {
		w := newWorld(t)
		expect(t, w.call(w.srv.URL()+"/files/db-1.0.0.tgz", byRelease), builtins.NotFound)
	})
	t.Run("C1 no bundle", func(t *testing.T) {
		w := newWorld(t)
		expect(t, w.call(w.url, byRelease), builtins.NoSignature)
	})
	t.Run("bundle 503", func(t *testing.T) {
		w := newWorld(t)
		answer("*.sigstore.json", 503)(w)
		expect(t, w.call(w.url, byRelease), builtins.Unavailable)
	})
	t.Run("C25 bundle one byte over", func(t *testing.T) {
		w := newWorld(t)
		raw := w.key.Blob(archive).Bundle("0.3")
		raw = append(raw, bytes.Repeat([]byte{' '}, 2<<20-len(raw))...)
		w.srv.AddFile("files/web-1.2.3.tgz.sigstore.json", raw)
		expect(t, w.call(w.url, byRelease), builtins.OK)
		w.srv.AddFile("files/web-1.2.3.tgz.sigstore.json", append(raw, ' '))
		expect(t, w.call(w.url, byRelease), builtins.TooLarge)
	})
	t.Run("bundle elsewhere, and as text", func(t *testing.T) {
		w := newWorld(t)
		raw := w.key.Blob(archive).Bundle("0.3")
		w.srv.AddFile("signatures/web.json", raw)
		for _, where := range []string{w.srv.URL() + "/signatures/web.json", string(raw)} {
			expect(t, w.call(w.url, object{"public_keys": []string{"release"}, "bundle": where}), builtins.OK)
		}
	})
	t.Run("bundle ignored for a registry, visibly", func(t *testing.T) {
		w := newWorld(t)
		w.sign(1, 0)
		rep := w.call(w.ref(), object{"public_keys": []string{"release"}, "bundle": "nowhere"})
		expect(t, rep, builtins.OK)
		if !skipped(rep, "bundle") {
			t.Errorf("checks %+v", rep.Checks)
		}
	})
	t.Run("statement about the archive", func(t *testing.T) {
		w := newWorld(t)
		w.srv.AddFile("files/web-1.2.3.tgz.sigstore.json", w.key.Statement(builtins.SHA256(archive), vsig.SignPredicate, nil).Bundle("0.3"))
		expect(t, w.call(w.url, byRelease), builtins.OK)
	})
	t.Run("signed, and no chart", func(t *testing.T) {
		w := newWorld(t)
		w.srv.AddFile("files/a.txt", []byte("a"))
		w.srv.AddFile("files/a.txt.sigstore.json", w.key.Blob([]byte("a")).Bundle("0.3"))
		rep := w.call(w.srv.URL()+"/files/a.txt", byRelease)
		expect(t, rep, builtins.NotAChart)
		if len(signers(rep)) != 1 || rep.Digest != builtins.SHA256([]byte("a")) {
			t.Errorf("signers %+v, digest %s", signers(rep), rep.Digest)
		}
	})
	t.Run("chart.version", func(t *testing.T) {
		w := newWorld(t)
		w.srv.AddFile("files/web-1.2.3.tgz.sigstore.json", w.key.Blob(archive).Bundle("0.3"))
		for version, code := range map[string]builtins.Code{
			"1.2.3": builtins.OK, "2.0.0": builtins.VersionMismatch, "v1.2.3": builtins.OK, "v1.2.4": builtins.VersionMismatch, "vv1.2.3": builtins.VersionMismatch,
		} {
			rep := w.call(w.url, object{"public_keys": []string{"release"}, "chart": object{"version": version}})
			expect(t, rep, code)
			if rep.Chart != (builtins.Chart{Name: "web", Version: "1.2.3", Digest: builtins.SHA256(archive)}) {
				t.Errorf("chart %+v", rep.Chart)
			}
		}
	})
}

// TestOrder is the contract's "order never matters": good, foreign, broken and
// wrong signatures in any order give the same bytes of report.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	w.trustStranger()
	mixed := []layer{
		layerOf(w.key.Simple("a", w.digest, nil)),
		layerOf(w.key.Simple("b", w.digest, nil)),
		layerOf(stranger.Simple("c", w.digest, nil)),
		layerOf(vsig.WithKey(newKey(elliptic.P256())).Simple("d", w.digest, nil)),
		layerOf(w.key.Simple("e", otherDigest, nil)),
		{[]byte("{}"), map[string]string{}},
		layerOf(w.keyless().Simple("f", w.digest, nil).Log(w.vs.Rekor, at)),
	}
	for _, ask := range []object{byRelease, twoKeys, {"public_keys": []string{"release"}, "annotations": object{"x": "y"}}, byIdentityOf} {
		var first []byte
		for range 10 {
			rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			w.storeLayers(repo, mixed...)
			got := marshal(w.call(w.ref(), ask))
			if first == nil {
				first = got
			}
			if !bytes.Equal(first, got) {
				t.Fatalf("two orders, two reports:\n%s\n%s", first, got)
			}
		}
	}
}

func TestC34KeyRemoved(t *testing.T) {
	w := newWorld(t)
	w.sign(1, 1)
	before := w.call(w.ref(), byRelease)
	expect(t, before, builtins.OK)
	w.trust.keys["release"] = stranger.PublicKey()
	after := w.call(w.ref(), byRelease)
	expect(t, after, builtins.UntrustedSigner)
	if before.Trust == after.Trust || before.Trust == "" {
		t.Errorf("trust %q, then %q", before.Trust, after.Trust)
	}
}

// TestC35Offline has a source that reaches the registry and nothing else: the
// trust comes with the options.
func TestC35Offline(t *testing.T) {
	w := newWorld(t)
	w.attach(w.keyless().Statement(w.digest, vsig.SignPredicate, nil).LogV2(w.vs.RekorV2).Stamp(w.vs, at).Bundle("0.3"))
	w.env.Source = w.env.Source.Allowing([]string{"127.0.0.1"})
	expect(t, w.call(w.ref(), byIdentityOf), builtins.OK)
}

// TestReportFits is about reports of many signatures that do not count.
func TestReportFits(t *testing.T) {
	w := newWorld(t)
	var layers []layer
	for i := range 90 {
		layers = append(layers, layerOf(stranger.Simple(strings.Repeat("x", 300), w.digest, map[string]string{"n": fmt.Sprint(i)})))
	}
	w.storeLayers(repo, layers...)
	rep := w.call(w.ref(), byRelease)
	expect(t, rep, builtins.UntrustedSigner)
	if n := len(marshal(rep)); n > 8<<10 {
		t.Errorf("report has %d bytes", n)
	}
}

// TestLiar is a registry that answers anew each time.
func TestLiar(t *testing.T) {
	w := newWorld(t)
	w.sign(1, 1)
	for _, path := range []string{"/v2/*/manifests/*", "/v2/*/blobs/*", "/v2/*/referrers/*"} {
		for nth := range 4 {
			remove := w.srv.Rule(registry.Rule{Path: path, Nth: nth + 1, Edit: func(b []byte) []byte {
				return bytes.ReplaceAll(b, []byte(w.digest), []byte(otherDigest))
			}})
			other := forge.Archive(forge.Chart("web", "1.2.3", forge.Entry{Name: "web/evil"})...)
			digest := w.srv.PushChart(repo, "evil", other, nil)
			w.srv.Tag(repo, w.tag, digest)
			if rep := w.call(w.ref(), byRelease); rep.Verified {
				t.Errorf("%s, request %d: verified %s", path, nth+1, rep.Digest)
			}
			remove()
			w.srv.Tag(repo, w.tag, w.digest)
			expect(t, w.call(w.ref(), byRelease), builtins.OK)
		}
	}
}
