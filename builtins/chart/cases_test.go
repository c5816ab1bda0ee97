// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"testing"

	"github.com/chartseal/chartseal/builtins/builtintest"
	"github.com/chartseal/chartseal/builtins/chart"
)

func TestCases(t *testing.T) { builtintest.Run(t, chart.LockOK) }
