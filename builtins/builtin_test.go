// SPDX-License-Identifier: Apache-2.0

package builtins_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// check is a built-in that runs judge.
func check(judge builtins.Judge) *builtins.Builtin {
	return builtins.Define("test.check", "Runs a judge.", builtins.Signatures{},
		func(*builtins.Env, options) (builtins.Judge, error) { return judge, nil })
}

func call(t *testing.T, judge builtins.Judge) builtins.Report {
	t.Helper()
	env := &builtins.Env{Limits: builtins.DefaultLimits()}
	return check(judge).Call(t.Context(), env, chartref.Parse("web-1.2.3.tgz"), []byte(`{}`))
}

func TestErrorsBecomeVerdictsInOnePlace(t *testing.T) {
	for _, c := range []struct {
		err     error
		code    builtins.Code
		outcome builtins.Outcome
	}{
		{nil, builtins.OK, builtins.Verified},
		{builtins.Errorf(builtins.DigestMismatch, "a is b"), builtins.DigestMismatch, builtins.Rejected},
		{fmt.Errorf("reading: %w", builtins.Errorf(builtins.Unavailable, "503")), builtins.Unavailable, builtins.Undecided},
		{builtins.Errorf(builtins.Denied, "401"), builtins.Denied, builtins.Undecided},
		{errors.New("nobody gave this a code"), builtins.Internal, builtins.Undecided},
		{context.DeadlineExceeded, builtins.Timeout, builtins.Undecided},
		{fmt.Errorf("reading: %w", context.Canceled), builtins.Timeout, builtins.Undecided},
	} {
		rep := call(t, func(context.Context, chartref.Ref, *builtins.Report) error { return c.err })
		if rep.Code != c.code || rep.Outcome != c.outcome || rep.Verified != (c.err == nil) {
			t.Errorf("%v: %v/%s/%s, want %s/%s", c.err, rep.Verified, rep.Outcome, rep.Code, c.outcome, c.code)
		}
	}
}

func TestARejectionAfterTheDeadlineStaysOne(t *testing.T) {
	env := &builtins.Env{Limits: builtins.Limits{Reference: builtins.Duration(time.Nanosecond)}}
	rep := check(func(ctx context.Context, _ chartref.Ref, _ *builtins.Report) error {
		<-ctx.Done()
		return builtins.Errorf(builtins.BadSignature, "signature is bad")
	}).Call(t.Context(), env, chartref.Parse("web.tgz"), []byte(`{}`))
	if rep.Code != builtins.BadSignature {
		t.Errorf("code is %s, want bad_signature", rep.Code)
	}
}

func TestACheckThatComputesDoesNotDelayTheAnswer(t *testing.T) {
	env := &builtins.Env{Limits: builtins.Limits{Reference: builtins.Duration(10 * time.Millisecond)}}
	done := make(chan struct{})
	defer close(done)
	started := time.Now()
	rep := check(func(context.Context, chartref.Ref, *builtins.Report) error {
		<-done // as if it computed, deaf to its context
		return nil
	}).Call(t.Context(), env, chartref.Parse("web.tgz"), []byte(`{}`))
	if rep.Code != builtins.Timeout || rep.Ref != "web.tgz" {
		t.Errorf("%s for %q, want timeout", rep.Code, rep.Ref)
	}
	if took := time.Since(started); took > time.Second {
		t.Errorf("answered after %v", took)
	}
}

func TestNoErrorAfterAPanicIsVerified(t *testing.T) {
	rep := call(t, func(context.Context, chartref.Ref, *builtins.Report) error { panic("boom") })
	if rep.Verified || rep.Code != builtins.Internal || strings.Contains(rep.Reason, "boom") {
		t.Errorf("%+v, want an undecided report that does not quote the panic", rep)
	}
}

func TestOptionsAreJudgedBeforeTheReference(t *testing.T) {
	env := &builtins.Env{Limits: builtins.DefaultLimits()}
	ok := func(context.Context, chartref.Ref, *builtins.Report) error { return nil }
	if rep := check(ok).Call(t.Context(), env, chartref.FromValue(7), []byte(`{"x": 1}`)); rep.Code != builtins.InvalidOptions {
		t.Errorf("code is %s, want invalid_options", rep.Code)
	}
	if rep := check(ok).Call(t.Context(), env, chartref.FromValue(7), []byte(`{}`)); rep.Code != builtins.InvalidReference {
		t.Errorf("code is %s, want invalid_reference", rep.Code)
	}
}

func TestReasonsArePrintableAndBounded(t *testing.T) {
	rep := call(t, func(context.Context, chartref.Ref, *builtins.Report) error {
		return builtins.Errorf(builtins.NameMismatch, "name is \x1b[31m%s\n\u202e", strings.Repeat("é", 4096))
	})
	if len(rep.Reason) > 3*256 {
		t.Errorf("reason has %d bytes", len(rep.Reason))
	}
	for _, r := range rep.Reason {
		if !unicode.IsPrint(r) {
			t.Errorf("reason has the character %U", r)
		}
	}
}

func TestAReportIsAtMost8KiB(t *testing.T) {
	rep := call(t, func(_ context.Context, _ chartref.Ref, rep *builtins.Report) error {
		var signers []builtins.Signer
		for i := range 100 {
			signers = append(signers, builtins.Signer{Fingerprint: fmt.Sprintf("%040X", i), UserIDs: []string{strings.Repeat("<", 256)}})
		}
		rep.Evidence = builtins.Signatures{Signers: signers}
		for range 20 {
			rep.Pass("step", strings.Repeat("<", 1<<20))
		}
		return builtins.Errorf(builtins.BadSignature, "%s", strings.Repeat("<", 1<<20))
	})
	raw, err := json.Marshal(rep)
	if err != nil || len(raw) > 8<<10 {
		t.Fatalf("report has %d bytes, %v", len(raw), err)
	}
	if signers := rep.Evidence.(builtins.Signatures).Signers; len(signers) == 0 || rep.Code != builtins.BadSignature {
		t.Errorf("%d signers, code %s: the verdict and some signers stay", len(signers), rep.Code)
	}
	if last := rep.Checks[len(rep.Checks)-1]; last.Status != builtins.Skipped || !strings.Contains(last.Detail, "left out") {
		t.Errorf("last check is %+v, want what was left out", last)
	}
}

func TestReportJSONIsFlatAndHasNoNull(t *testing.T) {
	rep := call(t, func(_ context.Context, _ chartref.Ref, rep *builtins.Report) error {
		rep.Evidence = builtins.Signatures{Signers: []builtins.Signer{{Kind: "pgp"}}}
		return nil
	})
	raw, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"verified":true,"outcome":"verified","code":"ok","reason":"verified","ref":"web-1.2.3.tgz","digest":"",` +
		`"chart":{"name":"","version":"","digest":""},"checks":[],"trust":"","signers":[{"kind":"pgp","name":"","fingerprint":"",` +
		`"algorithm":"","user_ids":[],"signed_at":"","issuer":"","subject":"","claims":{"source_repository":"","source_ref":"",` +
		`"source_digest":"","workflow":"","build_signer":"","trigger":"","run_url":"","runner":""}}]}`
	if string(raw) != want {
		t.Errorf("report is\n%s\nwant\n%s", raw, want)
	}
}

func TestTrustDigestIsOfTheSet(t *testing.T) {
	a, b := builtins.InlineMaterial([]byte("a")), builtins.InlineMaterial([]byte("b"))
	if builtins.TrustDigest(a, b) != builtins.TrustDigest(b, a, a) {
		t.Error("order or repetition changes the digest")
	}
	if builtins.TrustDigest(a) == builtins.TrustDigest(a, b) {
		t.Error("more trust has the same digest")
	}
}
