// SPDX-License-Identifier: Apache-2.0

// Package external answers Gatekeeper's external data in this process: by the
// provider that answers in a cluster, asked over TLS by Gatekeeper's own code.
package external

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/externaldata/unversioned"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/builtins/trust"
	"github.com/chartseal/chartseal/provider"
)

// name is the Provider resource's, which policies ask.
const name = "chartseal"

// No webhook waits here, and an answer that comes late is better than none: a
// check has this time at least.
const leastTime = 30 * time.Second

// margin is by how much more who asks waits than who is asked, from the check
// to the request and from the request to the call.
const margin = 15 * time.Second

// Answer makes external_data known to every Rego driver of this process that
// is made from now on, and answers it as c says, until the process ends. It
// fails for a configuration that cannot be used.
//
// Gatekeeper keeps the function for the whole process, where it belongs to
// the driver that was made last with providers to ask. So one driver is made
// here, for its registration alone; the commands of gator, which make theirs
// without, find the function as they find every other.
//
// The adjustments are for who has a network of his own.
func Answer(c *config.Config, log *slog.Logger, adjustments ...func(*source.Config)) error {
	c.Limits.Reference = max(c.Limits.Reference, builtins.Duration(leastTime))
	c.Gatekeeper.Background = max(c.Gatekeeper.Background, c.Limits.Reference)
	p, err := newProvider(c, log, adjustments)
	if err != nil {
		return err
	}
	shown, err := newIdentity()
	if err != nil {
		return err
	}
	url, err := serve(p, shown, log)
	if err != nil {
		return fmt.Errorf("answering external data: %w", err)
	}
	return register(url, shown, time.Duration(c.Limits.Reference)+2*margin)
}

// newProvider is the cluster's: it reads no local file, contacts listed hosts
// only, and trusts by name.
func newProvider(c *config.Config, log *slog.Logger, adjustments []func(*source.Config)) (*provider.Provider, error) {
	store, err := trust.Open(c.Trust.Directory, c.Limits)
	if err != nil {
		return nil, err
	}
	from := c.ProviderSource()
	for _, adjust := range adjustments {
		adjust(&from)
	}
	client, err := source.New(from)
	if err != nil {
		return nil, err
	}
	return provider.New(provider.Config{Checks: all.Builtins, Log: log}, provider.Basis{
		Env: c.ProviderEnv(client, source.NewFacts(c.Cache.Bytes/4, nil), store.Current(), log),
		Key: time.Duration(c.Limits.Reference), Deadline: time.Duration(c.Limits.Reference) + margin, Background: time.Duration(c.Gatekeeper.Background),
		Verdicts: time.Duration(c.Cache.Listings), VerdictBytes: c.Cache.Bytes / 4,
	}), nil
}

// serve answers on loopback, for whoever knows the path: others on this machine
// could else use the credentials of this process.
func serve(p *provider.Provider, shown *identity, log *slog.Logger) (url string, err error) {
	listener, err := tls.Listen("tcp", net.JoinHostPort(loopback.String(), "0"), &tls.Config{
		Certificates: []tls.Certificate{shown.pair}, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		return "", err
	}
	secret := "/" + rand.Text()
	server := &http.Server{
		Handler: http.StripPrefix(secret, p), ReadHeaderTimeout: margin,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		log.Error("external data is not answered any more", slog.String("error", server.Serve(listener).Error()))
	}()
	return "https://" + listener.Addr().String() + secret + provider.Path, nil
}

func register(url string, shown *identity, patience time.Duration) error {
	providers := externaldata.NewCache()
	err := providers.Upsert(&unversioned.Provider{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: unversioned.ProviderSpec{
			URL: url, Timeout: int(patience.Seconds()), CABundle: base64.StdEncoding.EncodeToString(shown.certificate),
		},
	})
	if err != nil {
		return err
	}
	_, err = rego.New(rego.AddExternalDataProviderCache(providers))
	return err
}
