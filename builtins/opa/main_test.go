// SPDX-License-Identifier: Apache-2.0

package opa_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/opa"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/trust"
	"github.com/chartseal/chartseal/test/forge"
)

// The checks of these tests answer by the name of the reference.
const (
	verified  = "verified.tgz"
	rejected  = "rejected.tgz"
	undecided = "undecided.tgz"
	panicking = "panicking.tgz"
	hanging   = "hanging.tgz"
)

type mockOptions struct {
	Need string `json:"need" doc:"must be \"trust\""`
}

// calls counts how often the mock was asked.
var calls atomic.Int64

// asked is the environment of the latest call.
var asked atomic.Pointer[builtins.Env]

var mock = builtins.Define("mock.verify", "Answers by the name of the reference.", builtins.Signatures{},
	func(env *builtins.Env, opts mockOptions) (builtins.Judge, error) {
		if opts.Need != "trust" {
			return nil, errors.New(`options need "trust"`)
		}
		return func(ctx context.Context, ref chartref.Ref, rep *builtins.Report) error {
			calls.Add(1)
			asked.Store(env)
			return judge(ctx, ref, rep)
		}, nil
	})

func judge(ctx context.Context, ref chartref.Ref, rep *builtins.Report) error {
	switch ref.Path {
	case verified:
		rep.Evidence = builtins.Signatures{Signers: []builtins.Signer{{Kind: "pgp", Fingerprint: "AB"}}}
		return rep.Step("signature", nil)
	case rejected:
		return rep.Step("signature", builtins.Errorf(builtins.BadSignature, "signature is bad"))
	case undecided:
		return builtins.Errorf(builtins.Unavailable, "registry answered 503")
	case panicking:
		var nowhere *builtins.Report
		nowhere.Code = builtins.OK
	case hanging:
		<-ctx.Done()
		return ctx.Err()
	}
	return builtins.Errorf(builtins.NotFound, "%q is not there", builtins.Clip(ref.Path))
}

// world is a source in memory with places where something goes wrong. It
// remembers which hosts it may contact.
type world struct {
	source.Map
	allow []string
}

func (w world) Allowing(allow []string) builtins.Source { return world{w.Map, allow} }

func (w world) Resolve(ctx context.Context, ref chartref.Ref) (builtins.Artifact, error) {
	return w.Map.Resolve(ctx, judgeable(ctx, ref))
}

// judgeable fails for the references whose names say so.
func judgeable(ctx context.Context, ref chartref.Ref) chartref.Ref {
	switch ref.Path {
	case panicking:
		panic("the source fails")
	case hanging:
		<-ctx.Done()
	}
	return ref
}

// signedWorld holds charts that are signed, tampered with and out of reach,
// and options that trust the signer.
func signedWorld() (source.Map, map[string]any) {
	key := forge.NewKey(forge.KeySpec{UserID: "Web Team <web@example.com>"})
	archive := forge.Archive(forge.Chart("web", "1.2.3")...)
	sum := builtins.SHA256(archive)
	text := forge.ProvenanceText(forge.ChartYAML("web", "1.2.3"), "web-1.2.3.tgz", sum)
	prov := []byte(forge.Clearsigned(text, key.Sign(text, forge.SignatureSpec{})))
	tampered := bytes.Clone(archive)
	tampered[len(tampered)/2] ^= 1
	return source.Map{
		verified:  {Data: archive, Prov: prov, FileName: "web-1.2.3.tgz"},
		rejected:  {Data: tampered, Prov: prov, FileName: "web-1.2.3.tgz"},
		undecided: {Err: builtins.Errorf(builtins.Unavailable, "registry answered 503")},
	}, map[string]any{"keyring": key.ArmoredPublic()}
}

var (
	charts, trusting = signedWorld()

	env     = &builtins.Env{Source: world{Map: charts}, Trust: trust.Empty(), Limits: builtins.DefaultLimits()}
	panicky bytes.Buffer
)

func TestMain(m *testing.M) {
	env.Log = slog.New(slog.NewTextHandler(&panicky, &slog.HandlerOptions{Level: slog.LevelError}))
	opa.Register(env, append([]*builtins.Builtin{mock}, all.Builtins...)...)
	os.Exit(m.Run())
}

// eval runs a module and gives the value of data.p.<rule>, or the error of the query.
func eval(t *testing.T, ctx context.Context, module string, input any, rule string) (any, error) {
	t.Helper()
	results, err := rego.New(rego.Query("x := data.p."+rule), rego.Module("p.rego", "package p\n\n"+module),
		rego.Input(input), rego.StrictBuiltinErrors(false)).Eval(ctx)
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, nil
	}
	return results[0].Bindings["x"], nil
}

func input(ref any) map[string]any {
	return map[string]any{"x": ref, "xs": []any{ref}, "o": map[string]any{"need": "trust"}}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func contains(s, sub string) bool { return strings.Contains(s, sub) }
