// SPDX-License-Identifier: Apache-2.0

// Package config reads chartseal.yaml, the one file that configures the
// command line and the provider.
package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	yamlv2 "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins"
)

// A Config is what chartseal.yaml says. It comes from [Default] or [Load].
type Config struct {
	Trust      Trust           `json:"trust" doc:"where the trust material is that policies name"`
	Registries []Registry      `json:"registries" doc:"OCI registries and chart repositories of which something is to be said"`
	Limits     builtins.Limits `json:"limits" doc:"what one reference may cost"`
	Cache      Cache           `json:"cache" doc:"what is remembered"`
	Server     Server          `json:"server" doc:"provider: where it listens, and to whom"`
	Gatekeeper Gatekeeper      `json:"gatekeeper" doc:"provider: the times that Gatekeeper is set to; each must be less than the next"`

	hosts  map[string]host // what registries come to, by canonical host
	dir    string          // of the file
	digest string
}

// Trust says where named trust material is.
type Trust struct {
	Directory string `json:"directory" doc:"directory with keyrings/<name>.{gpg,asc,kbx}, keys/<name>.pub and roots/<name>.json; relative to the configuration file; without it no name is known"`
}

// Cache bounds what is remembered.
type Cache struct {
	Bytes    int64             `json:"bytes" doc:"memory for what was fetched or found out before"`
	Listings builtins.Duration `json:"listings" doc:"how long an index, a tag, the signatures of a chart and a verdict that rests on them are taken as current; a verdict for at most 30s"`
	Redis    *Redis            `json:"redis" doc:"a Redis or Valkey that the provider's replicas share; it holds only content that a registry described by digest, is believed nothing, and everything works without it; the command line does not use it"`
}

// Default is the configuration without a file: no named trust, no registries,
// the limits of the command line.
func Default() *Config {
	return &Config{
		Limits: builtins.DefaultLimits(),
		Cache:  Cache{Bytes: 64 << 20, Listings: builtins.Duration(30 * time.Second)},
		Server: defaultServer(), Gatekeeper: defaultGatekeeper(),
	}
}

// maxFile bounds the configuration and a Docker configuration; a Kubernetes
// Secret, from which either may come, holds no more.
const maxFile = 1 << 20

// Load reads the configuration file at path, and the credentials it names. It
// fails for an unknown or repeated field, a null, a second document, and for
// every value that cannot be meant. A limit that is left out keeps its
// default. Relative paths in the file are relative to the file. No error
// shows a password.
func Load(path string) (*Config, error) {
	return load(path, Default(), func(*Config) error { return nil })
}

// load reads the file at path into config, which has the defaults, and checks
// what is more to check.
func load(path string, config *Config, check func(*Config) error) (*Config, error) {
	raw, err := readRegular(path, maxFile)
	if err != nil {
		return nil, err
	}
	if config, err = parse(raw, filepath.Dir(path), config); err == nil {
		err = check(config)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return config, nil
}

// parse reads the file into config, which has the defaults.
func parse(raw []byte, dir string, config *Config) (*Config, error) {
	if err := decode(raw, config); err != nil {
		return nil, err
	}
	if err := checkLimits(config.Limits); err != nil {
		return nil, err
	}
	if config.Cache.Bytes < 0 || config.Cache.Bytes > mostBytes {
		return nil, fmt.Errorf("cache.bytes is %d, want 0 to %d", config.Cache.Bytes, int64(mostBytes))
	}
	if config.Cache.Redis != nil {
		if err := config.Cache.Redis.check(dir); err != nil {
			return nil, fmt.Errorf("cache.redis: %w", err)
		}
	}
	for _, path := range []*string{&config.Trust.Directory, &config.Server.TLS.CertFile, &config.Server.TLS.KeyFile, &config.Server.Clients.CAFile} {
		*path = beside(dir, *path)
	}
	hosts, err := readRegistries(config.Registries, dir)
	if err != nil {
		return nil, err
	}
	config.hosts, config.dir = hosts, dir
	config.digest = config.sum(raw)
	return config, nil
}

// decode goes through JSON, since that is where encoding/json can be held to
// exact names of fields.
func decode(raw []byte, into *Config) error {
	if err := soleDocument(raw); err != nil {
		return err
	}
	asJSON, err := yaml.YAMLToJSONStrict(raw)
	if err != nil {
		return err
	}
	return builtins.DecodeStrictAs("file", asJSON, into)
}

// soleDocument refuses what YAMLToJSONStrict passes over in silence: nothing
// at all, and everything after the first document.
func soleDocument(raw []byte) error {
	dec := yamlv2.NewDecoder(bytes.NewReader(raw))
	var document any
	if err := dec.Decode(&document); errors.Is(err, io.EOF) || (err == nil && document == nil) {
		return errors.New("file is empty")
	} else if err != nil {
		return err
	}
	if err := dec.Decode(&document); !errors.Is(err, io.EOF) {
		return errors.New("file holds more than one YAML document")
	}
	return nil
}

// Files are the files with credentials that the configuration names. What they
// hold is part of it: when one changes, it is to be loaded again.
func (c *Config) Files() (files []string) {
	for _, r := range c.Registries {
		if r.Credentials == nil {
			continue
		}
		for _, path := range []string{r.Credentials.PasswordFile, r.Credentials.DockerConfig} {
			files = append(files, beside(c.dir, path))
		}
	}
	if r := c.Cache.Redis; r != nil {
		files = append(files, r.PasswordFile, r.CAFile)
	}
	return slices.DeleteFunc(files, func(path string) bool { return path == "" })
}

// Digest is another one when anything is other that the file says, or that the
// files with credentials do.
func (c *Config) Digest() string { return c.digest }

func (c *Config) sum(raw []byte) string {
	h := sha256.New()
	h.Write(raw)
	for _, name := range slices.Sorted(maps.Keys(c.hosts)) {
		if credentials := c.hosts[name].credentials; credentials != nil {
			username, password := credentials()
			fmt.Fprintf(h, "%q %q %q\n", name, username, password)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// mostBytes is more than any limit can mean, and far from overflow.
const mostBytes = 1 << 40

// checkLimits wants limits that can be computed with. Zero is one: it allows nothing.
func checkLimits(limits builtins.Limits) error {
	v := reflect.ValueOf(limits)
	for i := range v.NumField() {
		if n := v.Field(i).Int(); v.Field(i).Type() == reflect.TypeFor[int64]() && (n < 0 || n > mostBytes) {
			return fmt.Errorf("limits.%s is %d, want 0 to %d", v.Type().Field(i).Tag.Get("json"), n, int64(mostBytes))
		}
	}
	return nil
}

// beside is path as seen from the directory of the file that names it; "" stays "".
func beside(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
