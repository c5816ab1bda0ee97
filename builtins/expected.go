// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"fmt"

	"github.com/chartseal/chartseal/builtins/chartref"
)

// Expected is the option chart: what the chart must be, in place of what its
// reference asks for.
type Expected struct {
	Name    *string `json:"name" doc:"Name that the chart must have."`
	Version *string `json:"version" doc:"Version that the chart must have, exactly; but for a v before it, which makes no other version."`
}

// Check refuses an empty name or version, which would ask for nothing.
func (e Expected) Check() error {
	for _, field := range []struct {
		name  string
		value *string
	}{{"name", e.Name}, {"version", e.Version}} {
		if field.value != nil && *field.value == "" {
			return fmt.Errorf("chart.%s is empty: leave it out", field.name)
		}
	}
	return nil
}

// Of is the name and version that the chart of ref must have; "" for any.
// Versions are compared by [chartref.SameVersion], here as elsewhere.
func (e Expected) Of(ref chartref.Ref) (name, version string) {
	name, version = ref.Expected()
	if e.Name != nil {
		name = *e.Name
	}
	if e.Version != nil {
		version = *e.Version
	}
	return name, version
}
