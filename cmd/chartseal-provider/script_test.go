// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/chartseal/chartseal/test/examples"
)

// The scripts run the real main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"chartseal-provider": main,
		"curl":               func() { os.Exit(curl(os.Args[1:])) },
		"until":              func() { os.Exit(until(os.Args[1])) },
	})
}

// curl is as much of curl as the pages use, so that no test needs it:
// curl --cacert FILE URL --data @FILE.
func curl(args []string) int {
	if len(args) != 5 || args[0] != "--cacert" || args[3] != "--data" {
		fmt.Fprintln(os.Stderr, "curl: want --cacert FILE URL --data @FILE")
		return 2
	}
	ca, err := os.ReadFile(args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	body, err := os.ReadFile(args[4][1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	answer, err := client.Post(args[2], "application/json", bytes.NewReader(body))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer answer.Body.Close()
	_, _ = io.Copy(os.Stdout, answer.Body)
	return 0
}

// until waits for a URL to answer 200.
func until(url string) int {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if answer, err := http.Get(url); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return 0
			}
		}
	}
	return 1
}

// freePort is one that was free a moment ago: the pages show fixed ones, which
// somebody else may have.
func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func replaceAll(dir string, pairs ...string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		var text []byte
		path := filepath.Join(dir, entry.Name())
		if text, err = os.ReadFile(path); err == nil {
			err = os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o644)
		}
		if err != nil {
			return err
		}
	}
	return err
}

func TestScripts(t *testing.T) {
	root := filepath.Join("..", "..")
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join(root, "test", "script", "provider"),
		Setup: func(env *testscript.Env) error {
			for _, page := range []string{"provider.md", "certificates.md"} {
				if err := examples.Write(filepath.Join(root, "docs", page), filepath.Join(env.WorkDir, "docs")); err != nil {
					return err
				}
			}
			env.Setenv("HEALTH", freePort(t))
			return replaceAll(filepath.Join(env.WorkDir, "docs", "docs", "provider"), "8443", freePort(t), "8080", env.Getenv("HEALTH"))
		},
	})
}
