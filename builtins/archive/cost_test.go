// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/test/forge"
)

// filled is a Chart.yaml of one mebibyte that repeats unit.
func filled(before, unit string) string {
	return plain + before + strings.Repeat(unit, (mib-256-len(before))/len(unit))
}

// A19: what is only there to be parsed is refused before it is.
func TestCostOfHostileYAML(t *testing.T) {
	tests := map[string]string{
		"commas":                        filled("future: [", "a,"),
		"flow mappings":                 filled("future: [", "{},"),
		"flow lists":                    filled("future: [", "[],"),
		"flow pairs":                    filled("future: {", "a: 1,"),
		"JSON pairs":                    filled("future: {", `"a":1,`),
		"entries":                       filled("future:\n", "- a\n"),
		"entries at once":               filled("future:\n", "- - - - - - - - a\n"),
		"entries after other line ends": filled("future:\n", "-\u0085"),
		"keys":                          filled("future:\n", "  a: 1\n"),
		"question marks":                filled("future:\n", "  ? a\n"),
		"anchors":                       filled("future:\n", "- &a a\n"),
		"aliases":                       filled("description: &a x\nfuture: [", "*a,"),
		"merges":                        filled("description: &a {x: y}\nfuture: {<<: [", "*a,"),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			fastest := time.Hour
			for range 3 { // other work of this machine is not meant
				start := time.Now()
				_, err := archive.ParseMetadata([]byte(text))
				fastest = min(fastest, time.Since(start))
				if code := builtins.CodeOf(err); code != builtins.MalformedChart {
					t.Fatalf("code %s, error %v", code, err)
				}
			}
			if fastest > 50*time.Millisecond {
				t.Errorf("took %v", fastest)
			}
		})
	}
}

// The twins: what people put into a Chart.yaml is no reason, up to its limit.
func TestLongTextsInAChart(t *testing.T) {
	for name, unit := range map[string]string{
		"changes":  "    - kind: added\n      description: something new, and useful\n",
		"an image": "    - name: web\n      image: registry.example.com/web:1.2.3\n",
		"prose":    "    To be or not to be, that is the question: whether it is nobler\n",
	} {
		if _, err := archive.ParseMetadata([]byte(filled("annotations:\n  text: |\n", unit))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A countdown is a context that ends once it was asked so often.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// A deadline that passes while the charts in charts/ are looked into is no
// fault of the content, though all of that has arrived.
func TestDeadlineBetweenSubcharts(t *testing.T) {
	var many []forge.Entry
	for i := range 500 {
		many = append(many, forge.Entry{Name: fmt.Sprintf("charts/c%d/Chart.yaml", i), Body: forge.ChartYAML("c", "1.0.0")})
	}
	raw := forge.Archive(with(many...)...)
	asked := &countdown{t.Context(), 1 << 30}
	if _, err := archive.Read(asked, bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits())); err != nil {
		t.Fatal(err)
	}
	all := 1<<30 - asked.left
	for _, left := range []int{all - 1, all - 400, all / 2, 1, 0} {
		_, err := archive.Read(&countdown{t.Context(), left}, bytes.NewReader(raw), builtins.NewBudget(builtins.DefaultLimits()))
		var refused *archive.Refused
		if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &refused) {
			t.Errorf("after %d of %d: %v", left, all, err)
		}
		_, err = archive.ReadDir(&countdown{t.Context(), left / 2}, onDisk(with(many...)...), builtins.NewBudget(builtins.DefaultLimits()))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("directory, after %d: %v", left/2, err)
		}
	}
}
