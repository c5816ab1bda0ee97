// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"text/tabwriter"

	"github.com/chartseal/chartseal/builtins"
)

// judgeAll evaluates the policy over each manifest, as a reader would, and
// prints what it said.
func judgeAll(w io.Writer, chartseal, dir string, scenes []*scene) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MANIFEST\tWHAT HAPPENED\tPOLICY\tVERDICT\tREASON")
	for _, s := range scenes {
		summary, err := judge(chartseal, dir, s)
		if err != nil {
			return fmt.Errorf("judging %s: %w", s.name, err)
		}
		if summary.Report.Code != s.want {
			return fmt.Errorf("%s is %s, want %s: %s", s.name, summary.Report.Code, s.want, summary.Report.Reason)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.name, s.story, summary.decision(), summary.Report.Outcome, summary.reason())
	}
	return table.Flush()
}

type summary struct {
	Admitted bool            `json:"admitted"`
	Report   builtins.Report `json:"report"`
}

func (s summary) decision() string {
	if s.Admitted {
		return "admits"
	}
	return "refuses"
}

func (s summary) reason() string {
	if s.Admitted {
		return s.Report.Chart.Digest
	}
	return string(s.Report.Code) + ": " + s.Report.Reason
}

func judge(chartseal, dir string, s *scene) (summary, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(chartseal, "eval", "--config", filepath.Join(dir, configFile),
		"--data", filepath.Join(dir, "policy"), "--input", s.manifest(dir), "--format", "raw", "data.demo.summary")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return summary{}, fmt.Errorf("%w: %s%s", err, out, stderr.String())
	}
	var judged summary
	return judged, json.Unmarshal(out, &judged)
}

func sum(b []byte) string {
	digest := sha256.Sum256(b)
	return hex.EncodeToString(digest[:])
}
