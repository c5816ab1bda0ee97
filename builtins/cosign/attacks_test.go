// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/vsig"
)

// TestAttacks changes one thing of what is otherwise valid, on every route on
// which it can be changed. The valid twin of each is the same route with the
// twin's change or, mostly, with none.
func TestAttacks(t *testing.T) {
	for _, tt := range []struct {
		id     string
		routes []route
		change change
		code   builtins.Code
		twin   change
	}{
		{id: "C3 copied from another chart", routes: where(route.registered), code: builtins.PayloadMismatch,
			change: change{digest: otherDigest}},
		{id: "C4 signed under another reference, match_reference", routes: where(func(r route) bool { return r.shape == simple }), code: builtins.PayloadMismatch,
			change: change{sign: elsewhere, options: with("match_reference", true)}, twin: change{sign: elsewhere}},
		{id: "C4 signed under the same reference, match_reference", routes: where(func(r route) bool { return r.shape == simple }), code: builtins.OK,
			change: change{options: with("match_reference", true)}},
		{id: "C4 bundles sign no reference", routes: where(route.bundled), code: builtins.PayloadMismatch,
			change: change{options: with("match_reference", true)}},
		{id: "C5 wrong critical.type", routes: where(isSimple), code: builtins.PayloadMismatch,
			change: change{sign: payload(`"cosign container image signature"`, `"atomic container signature"`)}, twin: change{sign: payload("", "")}},
		{id: "C5 a member twice", routes: where(isSimple), code: builtins.PayloadMismatch,
			change: change{sign: payload(`"critical":{`, `"critical":{"type":"cosign container image signature",`)}},
		{id: "C5 a member in another case", routes: where(isSimple), code: builtins.PayloadMismatch,
			change: change{sign: payload(`"critical":{`, `"Critical":{`)}},
		{id: "C6 url-safe base64", routes: where(isSimple), code: builtins.MalformedBundle,
			change: change{layer: annotation("dev.cosignproject.cosign/signature", func(string) string { return "-_-_" })}},
		{id: "C6 base64 with a line break", routes: where(isSimple), code: builtins.MalformedBundle,
			change: change{layer: annotation("dev.cosignproject.cosign/signature", func(s string) string { return s[:8] + "\n" + s[8:] })}},
		{id: "C7 r is 0", routes: where(every), code: builtins.BadSignature, change: change{done: numbers(0, 1)}},
		{id: "C7 s is 0", routes: where(every), code: builtins.BadSignature, change: change{done: numbers(1, 0)}},
		{id: "C7 bytes after the DER", routes: where(every), code: builtins.BadSignature,
			change: change{done: func(_ *world, s *vsig.Signature) { s.Raw = append(bytes.Clone(s.Raw), 0) }}},
		{id: "C7 logged with it, as no log would", routes: where(hashed), code: builtins.MalformedBundle,
			change: change{signed: func(s *vsig.Signature) { s.Raw = append(s.Raw, 0) }}},
		{id: "C9 log entry of another signature", routes: where(logged), code: builtins.TransparencyLog, change: change{log: anothersEntry}},
		{id: "C10 log unknown to the root", routes: where(func(r route) bool { return r.log == 1 }), code: builtins.TransparencyLog,
			change: change{log: func(w *world, s *vsig.Signature) { s.Log(vsig.NewLog(), at).Stamp(w.vs, at) }},
			twin:   change{log: func(w *world, s *vsig.Signature) { s.Log(w.vs.Rekor, at).Stamp(w.vs, at) }}},
		{id: "C10 log v2 unknown to the root", routes: where(func(r route) bool { return r.log == 2 }), code: builtins.TransparencyLog,
			change: change{log: func(w *world, s *vsig.Signature) { s.LogV2(vsig.NewLog()).Stamp(w.vs, at) }}},
		{id: "C10 proof for another tree", routes: where(bundledLog), code: builtins.TransparencyLog,
			change: change{done: entry(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof.Hashes[0][0] ^= 1 })}},
		{id: "C10 checkpoint badly signed", routes: where(bundledLog), code: builtins.TransparencyLog,
			change: change{done: entry(func(e *rekorpb.TransparencyLogEntry) {
				e.InclusionProof.Checkpoint.Envelope = strings.Replace(e.InclusionProof.Checkpoint.Envelope, "\n2\n", "\n3\n", 1)
			})}},
		{id: "C10 promise badly signed", routes: where(func(r route) bool { return r.log == 1 }), code: builtins.TransparencyLog,
			change: change{done: entry(func(e *rekorpb.TransparencyLogEntry) { e.IntegratedTime++ })}},
		{id: "C10 no proof", routes: where(bundledLog), code: builtins.TransparencyLog,
			change: change{done: entry(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof = nil })}},
		{id: "C10 no entry", routes: where(logged), code: builtins.TransparencyLog,
			change: change{log: func(w *world, s *vsig.Signature) { s.Stamp(w.vs, at) }}},
		{id: "C11 log time after the certificate", routes: where(func(r route) bool { return r.keyless && r.log == 1 }), code: builtins.Certificate,
			change: change{log: func(w *world, s *vsig.Signature) { s.Log(w.vs.Rekor, at.Add(time.Hour)) }}},
		{id: "C11 log time before the certificate", routes: where(func(r route) bool { return r.keyless && r.log == 1 }), code: builtins.Certificate,
			change: change{log: func(w *world, s *vsig.Signature) { s.Log(w.vs.Rekor, at.Add(-time.Hour)) }}},
		{id: "C11 timestamp outside the certificate", routes: where(func(r route) bool { return r.keyless && r.stamp }), code: builtins.Certificate,
			change: change{log: logThen(func(w *world, s *vsig.Signature) { s.Stamp(w.vs, at.Add(time.Hour)) })}},
		{id: "C13 short-lived certificate and no trusted time", routes: where(func(r route) bool { return r.keyless && r.log == 0 }), code: builtins.Timestamp,
			change: change{log: func(w *world, s *vsig.Signature) { s.Log(w.vs.Rekor, at) }, options: without("timestamp")}},
		{id: "C13 log v2 has no time", routes: where(func(r route) bool { return r.keyless && r.log == 2 }), code: builtins.Timestamp,
			change: change{log: func(w *world, s *vsig.Signature) { s.LogV2(w.vs.RekorV2) }, options: without("timestamp")}},
		{id: "C13 timestamp required, none there", routes: where(logged), code: builtins.Timestamp,
			change: change{log: logOnly, options: with("timestamp", "required")},
			twin:   change{log: logThen(func(w *world, s *vsig.Signature) { s.Stamp(w.vs, at) }), options: with("timestamp", "required")}},
		{id: "C13 timestamp of another signature", routes: where(stamped), code: builtins.Timestamp,
			change: change{log: logThen(func(w *world, s *vsig.Signature) { s.Stamps = w.key.Text([]byte("another")).Stamp(w.vs, at).Stamps })}},
		{id: "C14 intermediate expired", routes: where(byIdentity), code: builtins.Certificate,
			change: change{signer: func(w *world) *vsig.Signer {
				old := w.vs.WithExpiredIntermediate()
				w.trust.roots["ours"] = old.Root()
				return old.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer})
			}}},
		{id: "C15 leaf without any usage", routes: where(byIdentity), code: builtins.Certificate,
			change: change{leaf: template(func(c *x509.Certificate) { c.ExtKeyUsage = nil })}},
		{id: "C15 leaf for servers", routes: where(byIdentity), code: builtins.Certificate,
			change: change{leaf: template(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}},
		{id: "C15 leaf that is an authority", routes: where(byIdentity), code: builtins.Certificate,
			change: change{leaf: template(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })}},
		{id: "C15 self-signed", routes: where(byIdentity), code: builtins.Certificate,
			change: change{leaf: func(_ *world, l *vsig.Leaf) { l.SelfSigned = true }}},
		{id: "C16 no SCT", routes: where(byIdentity), code: builtins.Certificate,
			change: change{leaf: sct(vsig.NoSCT)}, twin: change{leaf: sct(vsig.NoSCT), options: with("sct", "skip")}},
		{id: "C16 SCT of a log that the root does not name", routes: where(byIdentity), code: builtins.Certificate,
			change: change{leaf: sct(vsig.ForeignSCT)}, twin: change{leaf: sct(vsig.ForeignSCT), options: with("sct", "skip")}},
		{id: "C18 subject_regexp matches the whole", routes: where(byIdentity), code: builtins.IdentityMismatch,
			change: change{options: identity("subject_regexp", `https://ci\.example\.com/org`)},
			twin:   change{options: identity("subject_regexp", `https://ci\.example\.com/org/.*`)}},
		{id: "C18 alternatives are anchored too", routes: where(byIdentity), code: builtins.IdentityMismatch,
			change: change{options: identity("subject_regexp", `nobody|https://ci\.example\.com/org`)},
			twin:   change{options: identity("subject_regexp", `nobody|https://ci\.example\.com/org/.*`)}},
		{id: "C18 issuer_regexp matches the whole", routes: where(byIdentity), code: builtins.IdentityMismatch,
			change: change{options: identity("issuer_regexp", `https://issuer\.example`)},
			twin:   change{options: identity("issuer_regexp", `https://issuer\.example\.(com|org)`)}},
		{id: "C19 issuer with a slash more", routes: where(byIdentity), code: builtins.IdentityMismatch,
			change: change{options: identity("issuer", issuer+"/")}},
		{id: "C19 signed by somebody else", routes: where(byIdentity), code: builtins.IdentityMismatch,
			change: change{leaf: func(_ *world, l *vsig.Leaf) { l.Subject = "somebody@example.com" }}},
		{id: "C20 only an SBOM", routes: where(isStatement), code: builtins.NoSignature,
			change: change{sign: sbom}, twin: change{sign: sbom, options: with("predicate_type", "https://spdx.dev/Document")}},
		{id: "C21 statement without our digest", routes: where(isStatement), code: builtins.PayloadMismatch,
			change: change{sign: envelope(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"` + vsig.SignPredicate + `","subject":[]}`)}},
		{id: "C21 statement that is none", routes: where(isStatement), code: builtins.PayloadMismatch, change: change{sign: envelope(`{`)}},
		{id: "C21 statement of another type", routes: where(isStatement), code: builtins.PayloadMismatch, change: change{sign: statementText("in-toto.io/Statement/v1", "example.com/Statement")}},
		{id: "C21 statement with a member twice", routes: where(isStatement), code: builtins.PayloadMismatch, change: change{sign: statementText(`"predicate":{}`, `"predicate":{},"predicate":{}`)}},
		{id: "C30 annotation absent", routes: where(every), code: builtins.AnnotationMismatch,
			change: change{options: with("annotations", object{"stage": "prod"})}},
		{id: "C30 annotation differs", routes: where(route.registered), code: builtins.AnnotationMismatch,
			change: change{options: with("annotations", object{"team": "db"})}, twin: change{options: with("annotations", object{"team": "web"})}},
		{id: "C31 bundle of another archive", routes: where(func(r route) bool { return r.shape == blob }), code: builtins.PayloadMismatch,
			change: change{archive: forge.Archive(forge.Chart("web", "1.2.4")...)}},
		{id: "C32 another digest_algorithm", routes: where(every), code: builtins.BadSignature,
			change: change{options: with("digest_algorithm", "sha512")}, twin: change{options: with("digest_algorithm", "sha256")}},
		{id: "unknown key", routes: where(byKey), code: builtins.UntrustedSigner,
			change: change{signer: func(*world) *vsig.Signer { return stranger }, log: func(w *world, s *vsig.Signature) { s.Log(w.vs.Rekor, at).Stamp(w.vs, at) }}},
		{id: "a key where identities are trusted", routes: where(byIdentity), code: builtins.UntrustedSigner,
			change: change{signer: func(w *world) *vsig.Signer { return w.key }}},
		{id: "a certificate where keys are trusted", routes: where(byKey), code: builtins.UntrustedSigner,
			change: change{signer: func(w *world) *vsig.Signer { return w.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer}) }}},
		{id: "a weak key under a good certificate", routes: where(func(r route) bool { return r.keyless && r.log < 2 }), code: builtins.WeakAlgorithm,
			change: change{signer: func(w *world) *vsig.Signer {
				weak := w.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer, Key: newKey(elliptic.P224())})
				weak.Hash = crypto.SHA256
				return weak
			}}},
		{id: "signature of another message by the same key", routes: where(byKeyHint), code: builtins.BadSignature,
			change: change{done: func(_ *world, s *vsig.Signature) { s.Raw = s.Signer.Sign([]byte("another")) }}},
	} {
		t.Run(tt.id, func(t *testing.T) {
			for _, r := range tt.routes {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					_, twin := r.run(t, tt.twin)
					expect(t, twin, builtins.OK)
					_, rep := r.run(t, tt.change)
					expect(t, rep, tt.code)
				})
			}
		})
	}
}

var (
	otherDigest = builtins.SHA256([]byte("another chart"))
	stranger    = vsig.WithKey(newKey(elliptic.P256()))
)

func isSimple(r route) bool    { return r.shape == simple }
func isStatement(r route) bool { return r.shape == bundle }

// hashed is where the log has checked the signature that it logs.
func hashed(r route) bool { return r.log == 1 && r.shape != bundle }

func bundledLog(r route) bool { return r.bundled() && r.log > 0 }

// byKeyHint is where a signature says of which key it is.
func byKeyHint(r route) bool { return !r.keyless && (r.bundled() || r.log > 0) }

func with(option string, value any) func(*world, object) {
	return func(_ *world, o object) { o[option] = value }
}

func without(option string) func(*world, object) {
	return func(_ *world, o object) { delete(o, option) }
}

// identity replaces the exact value by an expression, or by another value.
func identity(option, value string) func(*world, object) {
	return func(_ *world, o object) {
		id := object{"issuer": issuer, "subject": subject}
		delete(id, strings.TrimSuffix(option, "_regexp"))
		id[option] = value
		o["identities"] = []object{id}
	}
}

func sct(kind vsig.SCT) func(*world, *vsig.Leaf) {
	return func(_ *world, l *vsig.Leaf) { l.SCT = kind }
}

func template(edit func(*x509.Certificate)) func(*world, *vsig.Leaf) {
	return func(_ *world, l *vsig.Leaf) { l.Edit = edit }
}

func entry(edit func(*rekorpb.TransparencyLogEntry)) func(*world, *vsig.Signature) {
	return func(_ *world, s *vsig.Signature) { edit(s.Entries[0]) }
}

func annotation(name string, edit func(string) string) func(layer) layer {
	return func(l layer) layer {
		l.annotations[name] = edit(l.annotations[name])
		return l
	}
}

func numbers(r, s int64) func(*world, *vsig.Signature) {
	return func(_ *world, sig *vsig.Signature) {
		raw, err := asn1.Marshal(struct{ R, S *big.Int }{big.NewInt(r), big.NewInt(s)})
		if err != nil {
			panic(err)
		}
		sig.Raw = raw
	}
}

func elsewhere(w *world, _ route, signer *vsig.Signer) *vsig.Signature {
	return signer.Simple("mirror.example.com/"+repo, w.digest, nil)
}

// payload signs the payload with one text in it replaced.
func payload(old, text string) func(*world, route, *vsig.Signer) *vsig.Signature {
	return func(w *world, r route, signer *vsig.Signer) *vsig.Signature {
		good := signer.Simple(w.srv.Host()+"/"+repo, w.digest, nil)
		return signer.Text(bytes.Replace(good.Payload, []byte(old), []byte(text), 1))
	}
}

func envelope(text string) func(*world, route, *vsig.Signer) *vsig.Signature {
	return func(_ *world, _ route, signer *vsig.Signer) *vsig.Signature { return signer.Envelope([]byte(text)) }
}

func statementText(old, text string) func(*world, route, *vsig.Signer) *vsig.Signature {
	return func(w *world, _ route, signer *vsig.Signer) *vsig.Signature {
		good := signer.Statement(w.digest, vsig.SignPredicate, nil)
		return signer.Envelope(bytes.Replace(good.Payload, []byte(old), []byte(text), 1))
	}
}

func sbom(w *world, _ route, signer *vsig.Signer) *vsig.Signature {
	return signer.Statement(w.digest, "https://spdx.dev/Document", nil)
}

func anothersEntry(w *world, sig *vsig.Signature) {
	other := sig.Signer.Text([]byte("another"))
	if sig.PayloadType != "" {
		other = sig.Signer.Envelope([]byte(`{"another":true}`))
	}
	if len(sig.MessageDigest) > 0 {
		other = sig.Signer.Blob([]byte("another"))
	}
	sig.Entries = other.Log(w.vs.Rekor, at).Entries
	sig.Stamp(w.vs, at)
}

// logOnly and logThen log as the route does, which the options tell; what
// comes after is the case's own.
func logOnly(w *world, s *vsig.Signature) { s.Log(w.vs.Rekor, at) }

func logThen(then func(*world, *vsig.Signature)) func(*world, *vsig.Signature) {
	return func(w *world, s *vsig.Signature) {
		s.Log(w.vs.Rekor, at)
		then(w, s)
	}
}
