// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"testing"

	"github.com/chartseal/chartseal/builtins/builtintest"
	"github.com/chartseal/chartseal/builtins/helm"
)

func TestCases(t *testing.T) { builtintest.Run(t, helm.VerifyProv) }
