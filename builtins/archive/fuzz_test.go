// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/builtintest"
	"github.com/chartseal/chartseal/test/forge"
)

// FuzzRead takes a gzipped tar as it is, and anything else as a tar, since no
// mutation gets past gzip's checksum.
func FuzzRead(f *testing.F) {
	seed := func(raw []byte) {
		f.Add(raw)
		if r, err := gzip.NewReader(bytes.NewReader(raw)); err == nil {
			if unzipped, err := io.ReadAll(r); err == nil && len(unzipped) < mib {
				f.Add(unzipped)
			}
		}
	}
	for _, raw := range good {
		seed(raw)
	}
	for _, m := range forge.ArchiveMutations {
		seed(m.Make(forge.Chart("web", "1.2.3")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !bytes.HasPrefix(raw, []byte("\x1f\x8b")) {
			raw = forge.Gzip(raw)
		}
		var c *archive.Chart
		var err error
		builtintest.Bounded(t, func() {
			c, err = archive.Read(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
		})
		if err != nil {
			refusedSomehow(t, err, raw)
			return
		}
		helm, err := loader.LoadArchive(bytes.NewReader(raw))
		if err != nil {
			unreadByUs(t, err)
			return
		}
		sameAsHelm(t, helm, c)
		again, err := archive.ReadContents(t.Context(), bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
		if err != nil || cmp.Diff(c.Raw, again.Raw) != "" {
			t.Errorf("with contents: chart %+v, error %v", again, err)
		}
	})
}

func refusedSomehow(t *testing.T, err error, raw []byte) {
	t.Helper()
	var refusal *archive.Refused
	if !errors.As(err, &refusal) || refusal.Digest != builtins.SHA256(raw) {
		t.Errorf("error is %T: %v", err, err)
	}
	switch code := builtins.CodeOf(err); code {
	case builtins.AmbiguousArchive, builtins.MalformedChart, builtins.NotAChart, builtins.TooLarge, builtins.TooMany:
	default:
		t.Errorf("code %s: %v", code, err)
	}
}

// unreadByUs allows what Helm refuses in files that this package only keeps.
func unreadByUs(t *testing.T, helm error) {
	t.Helper()
	for _, file := range []string{"values.yaml", "Chart.lock", "requirements.lock"} {
		if strings.Contains(helm.Error(), "cannot load "+file) {
			return
		}
	}
	t.Errorf("Helm refuses what we accept: %v", helm)
}
