// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"io"
	"log/slog"
	"os"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/config"
)

// configVariable names the configuration where the flag does not.
const configVariable = "CHARTSEAL_CONFIG"

// A configError is a configuration that cannot be used.
type configError struct{ err error }

func (e configError) Error() string { return "configuration: " + e.err.Error() }

// configure fills env from the configuration.
func configure(env *builtins.Env, path string) error {
	cfg, err := load(path)
	if err != nil {
		return err
	}
	built, err := cfg.Env(slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return configError{err}
	}
	*env = *built
	return nil
}

// load reads the configuration at path, at CHARTSEAL_CONFIG or, without
// either, gives the defaults: no named trust, public hosts over https.
func load(path string) (*config.Config, error) {
	if path = cmp.Or(path, os.Getenv(configVariable)); path == "" {
		return config.Default(), nil
	}
	cfg, err := config.Load(path)
	if err != nil {
		return nil, configError{err}
	}
	return cfg, nil
}

// stderr is where panics of checks are told.
var stderr io.Writer = os.Stderr
