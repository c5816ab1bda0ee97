// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
)

// ParseMetadata decodes a Chart.yaml, or a text with its content, to what Helm
// would make of it: validated, with strings sanitised. All that it refuses is
// MalformedChart:
//
//   - what [StrictYAML] refuses,
//   - what Helm's own validation refuses: a name that is empty or a path, a
//     version that is no version, a null dependency,
//   - a name or version that is not written as a string, so that `version:
//     1.10` cannot become 1.1,
//   - a name that sanitising would change, or that has a backslash,
//   - an apiVersion other than v1 and v2. None stands for v1.
func ParseMetadata(raw []byte) (*chart.Metadata, error) { return parseMetadata(raw, nil) }

// parseMetadata takes the dependencies of an apiVersion v1 chart from its
// requirements.yaml, if it has one.
func parseMetadata(raw, requirements []byte) (*chart.Metadata, error) {
	m, err := decodeMetadata(raw)
	if err == nil && requirements != nil {
		err = require(m, requirements)
	}
	if err == nil {
		err = validate(m)
	}
	if err != nil {
		return nil, builtins.Errorf(builtins.MalformedChart, "%w", err)
	}
	return m, nil
}

var byteOrderMark = []byte("\uFEFF")

func decodeMetadata(raw []byte) (*chart.Metadata, error) {
	m := new(chart.Metadata)
	document, err := decodeStrict(bytes.TrimPrefix(raw, byteOrderMark), m)
	if err != nil {
		return nil, err
	}
	if m.APIVersion == "" {
		m.APIVersion = chart.APIVersionV1
	}
	return m, writtenAsStrings(document, "name", "version", "apiVersion")
}

// writtenAsStrings refuses values that become text only by way of a number or
// a boolean: `name: y` would be "true".
func writtenAsStrings(document map[any]any, keys ...string) error {
	for _, key := range keys {
		switch v := document[key].(type) {
		case string, nil:
		default:
			return fmt.Errorf("%s is written as %T, not as a string", key, v)
		}
	}
	dependencies, _ := document["dependencies"].([]any)
	for i, dependency := range dependencies {
		d, _ := dependency.(map[any]any)
		switch v := d["name"].(type) {
		case string, nil:
		default:
			return fmt.Errorf("name of dependency %d is written as %T, not as a string", i+1, v)
		}
	}
	return nil
}

// require moves the dependencies of a requirements.yaml into m. Helm would let
// that file override every field of Chart.yaml.
func require(m *chart.Metadata, requirements []byte) error {
	if m.APIVersion != chart.APIVersionV1 {
		return fmt.Errorf("requirements.yaml in a chart of apiVersion %s", m.APIVersion)
	}
	if m.Dependencies != nil {
		return errors.New("dependencies in both Chart.yaml and requirements.yaml")
	}
	if blank(requirements) {
		return nil // Helm reads no dependencies in it
	}
	var required chart.Metadata
	document, err := decodeStrict(bytes.TrimPrefix(requirements, byteOrderMark), &required)
	if err == nil {
		err = writtenAsStrings(document)
	}
	if err != nil {
		return fmt.Errorf("requirements.yaml: %w", err)
	}
	m.Dependencies, required.Dependencies = required.Dependencies, nil
	if !reflect.DeepEqual(required, chart.Metadata{}) {
		return errors.New("requirements.yaml overrides fields of Chart.yaml")
	}
	return nil
}

// blank says whether a text holds nothing but comments.
func blank(text []byte) bool {
	for line := range bytes.Lines(bytes.TrimPrefix(text, byteOrderMark)) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

func validate(m *chart.Metadata) error {
	if v := m.APIVersion; v != chart.APIVersionV1 && v != chart.APIVersionV2 {
		return fmt.Errorf("apiVersion is %q, known are v1 and v2", builtins.Clip(v))
	}
	written := m.Name
	if strings.ContainsRune(written, '\\') {
		return fmt.Errorf("name %q has a backslash", builtins.Clip(written))
	}
	if err := m.Validate(); err != nil {
		return errors.New(builtins.Clip(strings.TrimPrefix(err.Error(), "validation: ")))
	}
	if m.Name != written {
		return fmt.Errorf("name %q has characters that Helm drops", builtins.Clip(written))
	}
	return nil
}

// DiffMetadata compares two charts' metadata as data: nil and empty, order of
// keys and comments make no difference. It gives the first field, in
// alphabetical order, that differs and both its values as JSON, "" where one
// has none. If nothing differs, field is "".
func DiffMetadata(a, b *chart.Metadata) (field, inA, inB string) {
	fa, fb := fields(a), fields(b)
	all := maps.Clone(fa)
	maps.Copy(all, fb)
	for _, field := range slices.Sorted(maps.Keys(all)) {
		if !bytes.Equal(fa[field], fb[field]) {
			return field, string(fa[field]), string(fb[field])
		}
	}
	return "", "", ""
}

// fields are the fields of m as canonical JSON; those with a zero value are absent.
func fields(m *chart.Metadata) map[string]json.RawMessage {
	text, err := json.Marshal(m)
	if err == nil {
		var byName map[string]json.RawMessage
		if err = json.Unmarshal(text, &byName); err == nil {
			return byName
		}
	}
	// Metadata holds what came out of JSON, so it goes back in.
	panic(err)
}
