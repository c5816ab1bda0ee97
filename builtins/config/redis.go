// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"

	"github.com/chartseal/chartseal/builtins/chartref"
)

// A Redis says where the content cache is that replicas share.
type Redis struct {
	Address      string `json:"address" doc:"host:port of one server, no cluster and no sentinel"`
	Username     string `json:"username" doc:"user name, if it is not the default user"`
	PasswordFile string `json:"password_file" doc:"file with the password, one line of at most 4 KiB; relative to the configuration file; without it none is sent"`
	CAFile       string `json:"ca_file" doc:"PEM file with the certificates that may have issued the server's; relative to the configuration file; without it the system's"`
	TLS          *bool  `json:"tls" doc:"true or false, to be said; false sends password and content for all to read"`
}

// check wants what can be meant, and resolves paths. The files are read by who
// connects: the command line has no use for the password, and may not have it.
func (r *Redis) check(dir string) error {
	address, err := canonicalAddress(r.Address)
	switch {
	case err != nil:
		return err
	case r.TLS == nil:
		return errors.New("tls is missing, want true or false")
	case r.CAFile != "" && !*r.TLS:
		return errors.New("ca_file stands beside tls: false, and says nothing without TLS")
	case r.Username != "" && r.PasswordFile == "":
		return errors.New("username stands without password_file")
	case strings.ContainsFunc(r.Username, unicode.IsControl):
		return errors.New("username has a control character")
	}
	r.Address, r.PasswordFile, r.CAFile = address, beside(dir, r.PasswordFile), beside(dir, r.CAFile)
	return nil
}

// canonicalAddress wants a port, which no default stands for.
func canonicalAddress(s string) (string, error) {
	if s == "" {
		return "", errors.New("address is missing")
	}
	if strings.Contains(s, "/") {
		return "", errors.New("address has a slash, want host:port without scheme and path")
	}
	canonical, err := chartref.CanonicalHost("redis", s)
	if err != nil {
		return "", fmt.Errorf("address: %w", err)
	}
	if _, _, err := net.SplitHostPort(canonical); err != nil {
		return "", errors.New("address has no port, want host:port")
	}
	return canonical, nil
}

// Secrets reads the password, "" for none, and whom to believe that it is the
// server, nil for a connection without TLS. No error shows the password.
func (r *Redis) Secrets() (password string, trust *tls.Config, err error) {
	if r.PasswordFile != "" {
		if password, err = readPassword(r.PasswordFile); err == nil {
			err = checkRedisPassword(password)
		}
		if err != nil {
			return "", nil, fmt.Errorf("cache.redis: password_file: %w", err)
		}
	}
	if r.TLS != nil && !*r.TLS {
		return password, nil, nil
	}
	trust = &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CAFile != "" {
		if trust.RootCAs, err = readCAs(r.CAFile); err != nil {
			return "", nil, fmt.Errorf("cache.redis: ca_file: %w", err)
		}
	}
	return password, trust, nil
}

func checkRedisPassword(password string) error {
	switch {
	case password == "":
		return errors.New("password is empty")
	case strings.ContainsFunc(password, unicode.IsControl):
		return errors.New("password has a control character")
	}
	return nil
}

// readCAs wants certificates and nothing else, for a key may have been put
// there by mistake.
func readCAs(path string) (*x509.CertPool, error) {
	raw, err := readRegular(path, maxFile)
	if err != nil {
		return nil, err
	}
	pool, n := x509.NewCertPool(), 0
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s holds a %.64q, want certificates alone", path, block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", path, n+1, err)
		}
		pool.AddCert(certificate)
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}
