// SPDX-License-Identifier: Apache-2.0

// Package policies holds the rules that an administrator switches on, each in a
// folder of its name: what they demand in Rego, the schema of their parameters,
// and a page about them.
package policies

import (
	"embed"

	"github.com/chartseal/chartseal/rego"
)

//go:embed */*.rego */README.md
var files embed.FS

// FS is every policy, tests aside.
var FS = rego.WithoutTests(files)
