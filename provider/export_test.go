// SPDX-License-Identifier: Apache-2.0

package provider

import "time"

// SetClock lets t take now for the time.
func (t *TLS) SetClock(now func() time.Time) { t.now = now }
