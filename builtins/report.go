// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A Report is the answer of a check. Every field is always there.
type Report struct {
	Verified bool          `json:"verified" doc:"true only when everything asked for was proven"`
	Outcome  Outcome       `json:"outcome" doc:"verified, rejected or undecided"`
	Code     Code          `json:"code" doc:"ok, or why not"`
	Reason   string        `json:"reason" doc:"the same in a sentence, with both sides of a mismatch"`
	Ref      string        `json:"ref" doc:"canonical form of what was asked"`
	Digest   string        `json:"digest" doc:"the manifest's digest for OCI references, else the archive's"`
	Chart    Chart         `json:"chart" doc:"the chart that was read"`
	Checks   []CheckResult `json:"checks" doc:"what was checked, in order"`
	Trust    string        `json:"trust" doc:"digest of the trust material that decided"`

	// Until is how long all that was listed for the check is taken as current:
	// nobody may serve the report for longer without asking anew. It is zero if
	// nothing of the kind took part.
	Until time.Time `json:"-"`

	// Evidence holds the fields that only this check's reports have: a
	// struct whose fields stand beside those above.
	Evidence any `json:"-"`
}

// Chart is what was read of a chart; a field is "" where it was not reached.
type Chart struct {
	Name    string `json:"name" doc:"as in Chart.yaml"`
	Version string `json:"version" doc:"as in Chart.yaml"`
	Digest  string `json:"digest" doc:"digest of the archive; for OCI references, of the chart layer"`
}

// A CheckResult is one line of what was checked.
type CheckResult struct {
	Name   string `json:"name" doc:"of the part that was checked"`
	Status Status `json:"status" doc:"pass, fail or skipped"`
	Detail string `json:"detail" doc:"what was found; why it was skipped"`
}

// A Status says how one check went.
type Status string

// The statuses of a check.
const (
	Pass    Status = "pass"
	Fail    Status = "fail"
	Skipped Status = "skipped"
)

// Signatures is the evidence of the checks that look for signers.
type Signatures struct {
	Signers []Signer `json:"signers" doc:"only those whose signature verified"`
}

// A Signer is whose signature verified. What a kind lacks is empty.
type Signer struct {
	Kind        string   `json:"kind" doc:"pgp, key or keyless"`
	Name        string   `json:"name" doc:"the key's name in the trust store"`
	Fingerprint string   `json:"fingerprint" doc:"of the PGP primary key, or sha256 of the public key"`
	Algorithm   string   `json:"algorithm" doc:"of the key, with its size"`
	UserIDs     []string `json:"user_ids" doc:"of a PGP key; their owner wrote them"`
	SignedAt    string   `json:"signed_at" doc:"RFC 3339, UTC"`
	Issuer      string   `json:"issuer" doc:"of a keyless signer's identity"`
	Subject     string   `json:"subject" doc:"of a keyless signer's certificate"`
	Claims      Claims   `json:"claims" doc:"of a keyless signer's certificate"`
}

// Claims are what a keyless certificate says about the build that signed.
type Claims struct {
	SourceRepository string `json:"source_repository" doc:"URL of the repository that was built"`
	SourceRef        string `json:"source_ref" doc:"branch or tag that was built"`
	SourceDigest     string `json:"source_digest" doc:"commit that was built"`
	Workflow         string `json:"workflow" doc:"name or file of the workflow"`
	BuildSigner      string `json:"build_signer" doc:"URI of the build instructions that signed"`
	Trigger          string `json:"trigger" doc:"event that started the build"`
	RunURL           string `json:"run_url" doc:"of the build"`
	Runner           string `json:"runner" doc:"environment of the build"`
}

// Pass records that a named part of the check went well.
func (r *Report) Pass(name, detail string) { r.check(name, Pass, detail) }

// Skip records that a named part of the check was not done, and why.
func (r *Report) Skip(name, detail string) { r.check(name, Skipped, detail) }

// Step records how a named part of the check went, and hands err on.
func (r *Report) Step(name string, err error) error {
	if err != nil {
		r.check(name, Fail, err.Error())
		return err
	}
	r.check(name, Pass, "")
	return nil
}

func (r *Report) check(name string, status Status, detail string) {
	r.Checks = append(r.Checks, CheckResult{Name: name, Status: status, Detail: printable(detail, maxForeign)})
}

// A Concluder is evidence that says itself why a verdict is not verified, also
// where the check did not come to say so: for a reference that is none, after
// the deadline, after a panic.
type Concluder interface {
	Concluded(code Code, reason string) any
}

// conclude is the only place where an error becomes a verdict.
func (r *Report) conclude(err error) {
	r.Code = CodeOf(err)
	r.Outcome = r.Code.Outcome()
	r.Verified = r.Outcome == Verified
	r.Reason = "verified"
	if err != nil {
		r.Reason = Printable(err.Error())
	}
	if evidence, ok := r.Evidence.(Concluder); ok {
		r.Evidence = evidence.Concluded(r.Code, r.Reason)
	}
}

// Verdict is the report on err where no check could be asked.
func Verdict(err error) Report {
	var rep Report
	rep.conclude(err)
	return rep
}

// maxForeign is how much foreign text a reason may carry; a reason may have
// two sides and some words of ours around them.
const (
	maxForeign = 256
	maxReason  = 3 * maxForeign
	maxRef     = 2048
)

// Clip shortens foreign text to what a reason may carry.
func Clip(s string) string { return clip(s, maxForeign) }

// Printable is s as it may stand in a report: no control characters, at most
// a reason long.
func Printable(s string) string { return printable(s, maxReason) }

func printable(s string, limit int) string {
	return clip(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")), limit)
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len("…")], "") + "…"
}

// A Shrinker is evidence that can be given in fewer bytes.
type Shrinker interface {
	// Shrink gives less of the evidence, and says what was left out; "" if
	// there is nothing to leave out.
	Shrink() (less any, left string)
}

// Shrink leaves out first the user IDs, which the signers wrote themselves,
// then half of the signers.
func (s Signatures) Shrink() (any, string) {
	less, left := slices.Clone(s.Signers), ""
	for i := range less {
		if len(less[i].UserIDs) > 0 {
			less[i].UserIDs, left = nil, "user IDs left out"
		}
	}
	if left == "" && len(less) > 1 {
		less, left = less[:len(less)/2], "signers left out"
	}
	return Signatures{Signers: less}, left
}

// fit makes the report at most limit bytes of JSON, leaving out words before
// evidence and never the verdict.
func (r *Report) fit(limit int) {
	if r.size() <= limit {
		return
	}
	for i := range r.Checks {
		r.Checks[i].Detail = ""
	}
	r.Ref, r.Reason = clip(r.Ref, maxForeign), clip(r.Reason, maxForeign)
	for r.size() > limit {
		shrinker, ok := r.Evidence.(Shrinker)
		if !ok {
			return
		}
		less, left := shrinker.Shrink()
		if left == "" {
			return
		}
		r.Evidence = less
		r.Skip("report", left+" to keep the report short")
	}
}

func (r *Report) size() int {
	raw, err := json.Marshal(*r)
	if err != nil {
		return 0
	}
	return len(raw)
}

// MarshalJSON writes the common fields and the evidence as one flat object
// with no null in it.
func (r Report) MarshalJSON() ([]byte, error) {
	type common Report
	fillLists(reflect.ValueOf(&r).Elem())
	head, err := json.Marshal(common(r))
	if err != nil || r.Evidence == nil {
		return head, err
	}
	evidence := reflect.New(reflect.TypeOf(r.Evidence)).Elem()
	evidence.Set(reflect.ValueOf(r.Evidence))
	fillLists(evidence)
	tail, err := json.Marshal(evidence.Interface())
	if err != nil || len(tail) <= len("{}") {
		return head, err
	}
	return append(append(head[:len(head)-1], ','), tail[1:]...), nil
}

// fillLists turns nil lists into empty ones, so that JSON has [] and never
// null. Lists are copied first: the report may be shared.
func fillLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillLists(v.Field(i))
		}
	case reflect.Slice:
		filled := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(filled, v)
		v.Set(filled)
		for i := range v.Len() {
			fillLists(v.Index(i))
		}
	}
}
