// SPDX-License-Identifier: Apache-2.0

// Package builtins is the waist between the checks and the engines that run
// them. A check is a constant of type [Builtin]; an engine is a driver that
// knows no check by name and always gets a [Report] from [Builtin.Call].
package builtins

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chartseal/chartseal/builtins/chartref"
)

// A Builtin declares a check: its name, its doc, its options and evidence as
// zero values of their types, and its function.
type Builtin struct {
	Name     string // of the predicate, "helm.verify_prov"; the report is Name + "_report"
	Doc      string
	Options  any // a struct; every field has json and doc tags
	Evidence any // a struct, see [Report.Evidence]

	plan func(env *Env, opts []byte) (Judge, error)
}

// A Judge is a check whose options are understood. It fills rep with what it
// learns and returns nil if, and only if, everything asked for was proven.
type Judge func(ctx context.Context, ref chartref.Ref, rep *Report) error

// Define makes a Builtin from its plan. The plan sees the options and the
// trust and never the reference, so what it refuses can only be the policy
// author's mistake: its errors are InvalidOptions.
func Define[O any](name, doc string, evidence any, plan func(env *Env, opts O) (Judge, error)) *Builtin {
	var zero O
	return &Builtin{
		Name: name, Doc: doc, Options: zero, Evidence: evidence,
		plan: func(env *Env, raw []byte) (Judge, error) {
			var opts O
			if err := DecodeStrict(raw, &opts); err != nil {
				return nil, err
			}
			return plan(env, opts)
		},
	}
}

// Call runs the check and always answers. Options are judged before the
// reference; a passed deadline is [Timeout]; a panic below is [Internal].
func (b *Builtin) Call(ctx context.Context, env *Env, ref chartref.Ref, opts []byte) (rep Report) {
	rep = Report{Ref: Printable(ref.String()), Evidence: b.Evidence}
	defer func() {
		if r := recover(); r != nil {
			rep.conclude(b.panicked(env, r))
		}
	}()
	judge, err := b.plan(env, opts)
	if err != nil {
		rep.conclude(Errorf(InvalidOptions, "%s: %s", b.Name, err.Error()))
		return rep
	}
	if err := ref.Err(); err != nil {
		rep.conclude(Errorf(InvalidReference, "%w", err))
		return rep
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(env.Limits.Reference))
	defer cancel()
	rep.conclude(inTime(ctx, judge(ctx, ref, &rep)))
	return rep
}

// inTime turns what a check says after its deadline into Timeout, unless it
// had decided before.
func inTime(ctx context.Context, err error) error {
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	undecided := err != nil && CodeOf(err).Outcome() == Undecided
	if late || (undecided && ctx.Err() != nil) {
		return Errorf(Timeout, "no verdict before the deadline: %w", err)
	}
	return err
}

var panics atomic.Int64

// Panics counts the checks that panicked since the process started.
func Panics() int64 { return panics.Load() }

func (b *Builtin) panicked(env *Env, r any) error {
	panics.Add(1)
	if env.Log != nil {
		env.Log.Error("check panicked", slog.String("builtin", b.Name), slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
	}
	return Errorf(Internal, "%s failed inside; this is a defect of chartseal, its log has the details", b.Name)
}

// DecodeStrict reads one JSON object into a struct of options. Unknown and
// repeated fields are refused by name; the error says which field was meant.
func DecodeStrict(raw []byte, into any) error {
	if err := uniqueKeys(raw); err != nil {
		return Errorf(InvalidOptions, "options %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return Errorf(InvalidOptions, "options %s", explain(err, into))
	}
	return nil
}

func explain(err error, into any) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return fmt.Sprintf("field %q is a %s, want %s", wrongType.Field, wrongType.Value, wrongType.Type)
	}
	const unknown = "json: unknown field "
	if name, ok := strings.CutPrefix(err.Error(), unknown); ok {
		return fmt.Sprintf("have the unknown field %s; known are %s", name, strings.Join(fieldNames(into), ", "))
	}
	return "are not a JSON object: " + err.Error()
}

func fieldNames(into any) []string {
	t := reflect.TypeOf(into)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// uniqueKeys refuses JSON in which one object names a member twice, also when
// the two differ only in case, since encoding/json would take either.
func uniqueKeys(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := uniqueValue(dec); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("are followed by more JSON")
	}
	return nil
}

func uniqueValue(dec *json.Decoder) error {
	tok, err := dec.Token()
	if err != nil {
		return fmt.Errorf("are not JSON: %w", err)
	}
	delim, nested := tok.(json.Delim)
	if !nested {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return fmt.Errorf("are not JSON: %w", err)
			}
			folded := strings.ToLower(fmt.Sprint(key))
			if seen[folded] {
				return fmt.Errorf("name the field %q twice", key)
			}
			seen[folded] = true
		}
		if err := uniqueValue(dec); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}
