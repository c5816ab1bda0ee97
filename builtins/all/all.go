// SPDX-License-Identifier: Apache-2.0

// Package all is the table of checks. Drivers, reference page and
// capabilities are made from it.
package all

import (
	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/builtins/helm"
)

//go:generate go run ./generate

// Builtins are all checks, in the order of the reference page.
var Builtins = []*builtins.Builtin{
	helm.VerifyProv,
	cosign.Verify,
	chart.LockOK,
}
