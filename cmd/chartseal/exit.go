// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// The exit codes of our own commands, beside 0.
const (
	exitRejected  = 1
	exitUsage     = 2
	exitUndecided = 3
)

// An exitError ends the command with a code; its text, if any, is for stderr.
type exitError struct {
	code int
	text string
}

func (e exitError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Sprintf(format, args...)}
}
