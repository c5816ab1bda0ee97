// SPDX-License-Identifier: Apache-2.0

package builtins_test

import (
	"strings"
	"testing"

	"github.com/chartseal/chartseal/builtins"
)

type nested struct {
	Name string `json:"name" doc:"a name"`
}

type options struct {
	Keyrings  []string `json:"keyrings" doc:"names"`
	Threshold *int     `json:"threshold" doc:"a number"`
	Chart     *nested  `json:"chart" doc:"an object"`
	Many      []nested `json:"many" doc:"objects"`
	Strict    bool     `json:"strict" doc:"a boolean"`
}

func TestDecodeStrictRefusesByName(t *testing.T) {
	for raw, want := range map[string]string{
		`{"keyring": []}`:                       `options has the unknown field "keyring"; known are chart, keyrings, many, strict, threshold`,
		`{"Keyrings": []}`:                      `options has the unknown field "Keyrings"`,
		`{"keyrings": [], "keyrings": ["a"]}`:   `name the field "keyrings" twice`,
		`{"keyrings": null}`:                    `options.keyrings is null, want a list`,
		`{"keyrings": [null]}`:                  `options.keyrings[0] is null, want a string`,
		`{"keyrings": "platform"}`:              `options.keyrings is a string, want a list`,
		`{"keyrings": [7]}`:                     `is a number, want a string`,
		`{"keyrings": {"a": 1}}`:                `options.keyrings is an object, want a list`,
		`{"threshold": "2"}`:                    `options.threshold is a string, want a whole number`,
		`{"threshold": 1.5}`:                    `want a whole number`,
		`{"strict": "yes"}`:                     `want true or false`,
		`{"chart": {"nmae": "web"}}`:            `options.chart has the unknown field "nmae"; known are name`,
		`{"chart": "web"}`:                      `options.chart is a string, want an object`,
		`{"many": [{"name": "a"}, {"n": 1}]}`:   `options.many[1] has the unknown field "n"`,
		`{"chart": {"name": "a", "name": "b"}}`: `name the field "name" twice`,
		`[]`:                                    `options is a list, want an object`,
		`null`:                                  `options is null, want an object`,
		`"x"`:                                   `options is a string, want an object`,
		``:                                      `options are not JSON`,
		`{`:                                     `options are not JSON`,
		`{} {}`:                                 `options are not JSON: invalid character '{' after top-level value`,
		strings.Repeat("[", 1<<20):              `exceeded max depth`,
	} {
		err := builtins.DecodeStrict([]byte(raw), &options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: error is %v, want %q", raw, err, want)
		}
	}
}

func TestDecodeStrictReadsWhatIsRight(t *testing.T) {
	var o options
	raw := `{"keyrings": ["a", "b"], "threshold": 2, "chart": {"name": "web"}, "many": [{"name": "x"}], "strict": true}`
	if err := builtins.DecodeStrict([]byte(raw), &o); err != nil {
		t.Fatal(err)
	}
	if len(o.Keyrings) != 2 || *o.Threshold != 2 || o.Chart.Name != "web" || o.Many[0].Name != "x" || !o.Strict {
		t.Errorf("read %+v", o)
	}
}
