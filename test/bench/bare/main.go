// SPDX-License-Identifier: Apache-2.0

// Command bare serves the bytes on its standard input to everyone who shows a
// certificate, whatever is asked: what TLS and HTTP alone cost.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8443", "where to listen")
	cert := flag.String("cert", "tls.crt", "the server's certificate")
	key := flag.String("key", "tls.key", "its key")
	clients := flag.String("clients", "ca.crt", "the authority of those who may ask")
	flag.Parse()
	if err := serve(*listen, *cert, *key, *clients); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func serve(listen, cert, key, clients string) error {
	answer, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(clients)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return fmt.Errorf("no certificate in %s", clients)
	}
	server := &http.Server{
		Addr: listen, Handler: always(answer), ReadHeaderTimeout: 5 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool},
	}
	return server.ListenAndServeTLS(cert, key)
}

func always(answer []byte) http.HandlerFunc {
	length := strconv.Itoa(len(answer))
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", length)
		_, _ = w.Write(answer) // who hung up needs none
	}
}
