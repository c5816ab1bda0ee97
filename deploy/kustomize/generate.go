// SPDX-License-Identifier: Apache-2.0

// Package kustomize holds the manifests that kustomize builds on.
package kustomize

//go:generate go run ./generate
