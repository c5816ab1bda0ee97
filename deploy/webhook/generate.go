// SPDX-License-Identifier: Apache-2.0

// Package webhook holds a configuration of Gatekeeper's webhook that fails
// closed, for objects that name charts and no others.
package webhook

//go:generate go run ./generate
