// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unicode"

	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/trust"
)

// Credentials say where the credentials for a host are: a user name and a
// password file, or a Docker configuration.
type Credentials struct {
	Username     string `json:"username" doc:"user name"`
	PasswordFile string `json:"password_file" doc:"file with the password, one line of at most 4 KiB; relative to the configuration file"`
	DockerConfig string `json:"docker_config" doc:"Docker's config.json with the host under auths; relative to the configuration file; credential helpers are not run"`
}

func (c *Credentials) read(host, dir string) (username, password string, err error) {
	switch {
	case c.DockerConfig != "" && (c.Username != "" || c.PasswordFile != ""):
		return "", "", errors.New("docker_config stands beside username or password_file, want one or the other")
	case c.DockerConfig != "":
		return readDockerConfig(beside(dir, c.DockerConfig), host)
	case c.Username == "" || c.PasswordFile == "":
		return "", "", errors.New("want username and password_file, or docker_config")
	}
	password, err = readPassword(beside(dir, c.PasswordFile))
	if err != nil {
		return "", "", fmt.Errorf("password_file: %w", err)
	}
	return c.Username, password, checkPair(c.Username, password)
}

// checkPair wants what HTTP's basic authentication can carry.
func checkPair(username, password string) error {
	switch {
	case username == "" || password == "":
		return errors.New("user name or password is empty")
	case strings.Contains(username, ":"):
		return errors.New("user name has a colon, which HTTP takes for its end")
	case strings.ContainsFunc(username+password, unicode.IsControl):
		return errors.New("user name or password has a control character")
	}
	return nil
}

// readPassword reads one line, with or without its end.
func readPassword(path string) (string, error) {
	raw, err := readRegular(path, 4<<10)
	if err != nil {
		return "", err
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	if strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("%s has more than one line", path)
	}
	return line, nil
}

type dockerConfig struct {
	Auths             map[string]dockerAuth `json:"auths"`
	CredentialStore   string                `json:"credsStore"`
	CredentialHelpers map[string]string     `json:"credHelpers"`
}

type dockerAuth struct {
	Auth          string `json:"auth"` // base64 of user:password
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// readDockerConfig finds the credentials for host. What the parsers say of the
// file is not passed on: they quote it.
func readDockerConfig(path, host string) (username, password string, err error) {
	raw, err := readRegular(path, maxFile)
	if err != nil {
		return "", "", fmt.Errorf("docker_config: %w", err)
	}
	var config dockerConfig
	if json.Unmarshal(raw, &config) != nil {
		return "", "", fmt.Errorf("docker_config: %s is not JSON of Docker's format", path)
	}
	if config.CredentialStore != "" || len(config.CredentialHelpers) > 0 {
		return "", "", fmt.Errorf("docker_config: %s names credential helpers (credsStore, credHelpers); they are programs, and none is run: the file has to hold the credentials under auths", path)
	}
	auth, err := config.find(host)
	if err == nil {
		username, password, err = auth.pair()
	}
	if err != nil {
		return "", "", fmt.Errorf("docker_config: %s: %w", path, err)
	}
	return username, password, nil
}

// find is the one entry for host. Docker writes some hosts as URLs.
func (c dockerConfig) find(host string) (dockerAuth, error) {
	var found []dockerAuth
	for key, auth := range c.Auths {
		_, authority, isURL := strings.Cut(key, "://")
		if !isURL {
			authority = key
		}
		authority, _, _ = strings.Cut(authority, "/")
		if canonical, err := chartref.CanonicalHost("https", authority); err == nil && canonical == host {
			found = append(found, auth)
		}
	}
	if len(found) != 1 {
		return dockerAuth{}, fmt.Errorf("auths has %d entries for %s, want one", len(found), host)
	}
	return found[0], nil
}

func (a dockerAuth) pair() (username, password string, err error) {
	if a.IdentityToken != "" || a.RegistryToken != "" {
		return "", "", errors.New("the entry has an identitytoken or registrytoken, want a user name and password")
	}
	username, password = a.Username, a.Password
	if a.Auth != "" {
		decoded, err := base64.StdEncoding.DecodeString(a.Auth)
		if err != nil {
			return "", "", errors.New("auth of the entry is not base64")
		}
		username, password, _ = strings.Cut(string(decoded), ":")
	}
	return username, password, checkPair(username, password)
}

// readRegular reads a regular file of at most limit bytes, and never waits, as
// opening a FIFO otherwise does.
func readRegular(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := trust.ReadRegular(f, limit)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return raw, nil
}
