// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/chartseal/chartseal/builtins"
)

// A mirror gives files by their names below its address.
type mirror interface {
	// read gives at most limit bytes, and one more if there are more. What
	// the mirror has not is fs.ErrNotExist.
	read(ctx context.Context, name string, limit int64) ([]byte, error)
	io.Closer
}

func open(m Mirror, limits builtins.Limits) (mirror, error) {
	u, err := url.Parse(m.address())
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, fmt.Errorf("mirror %q is no plain URL", builtins.Clip(m.URL))
	}
	switch {
	case u.Scheme == "file" && u.Host == "" && u.Path != "":
		root, err := os.OpenRoot(u.Path)
		if err != nil {
			return nil, fmt.Errorf("mirror: %w", err)
		}
		return folder{root}, nil
	case u.Scheme == "https" && u.Host != "", u.Scheme == "http" && u.Host != "" && m.Insecure:
		return &web{u.String(), newClient(m.Insecure, limits)}, nil
	case u.Scheme == "http":
		return nil, fmt.Errorf("mirror %s is http, and the configuration lists no such host as insecure", builtins.Clip(m.URL))
	}
	return nil, fmt.Errorf("mirror %q is neither https://host/path nor file:///path", builtins.Clip(m.URL))
}

// A folder is a mirror that was carried here.
type folder struct{ *os.Root }

func (f folder) read(_ context.Context, name string, limit int64) ([]byte, error) {
	decoded, err := url.PathUnescape(name)
	if err != nil {
		return nil, err
	}
	file, err := f.OpenFile(decoded, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not keep us waiting
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is no regular file", decoded))
	}
	return io.ReadAll(io.LimitReader(file, limit+1))
}

// A web is a mirror at an address.
type web struct {
	url    string
	client *http.Client
}

func newClient(insecure bool, limits builtins.Limits) *http.Client {
	dialer := &net.Dialer{Timeout: time.Duration(limits.Connect)}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 nil, // nothing ambient takes part
			DialContext:           dialer.DialContext,
			TLSHandshakeTimeout:   time.Duration(limits.Connect),
			ResponseHeaderTimeout: time.Duration(limits.Silence),
			DisableCompression:    true, // lengths are signed
		},
		CheckRedirect: func(next *http.Request, before []*http.Request) error {
			if int64(len(before)) > limits.Redirects {
				return fmt.Errorf("more than %d redirects", limits.Redirects)
			}
			if next.URL.Scheme != "https" && !insecure {
				return fmt.Errorf("redirect to %s", next.URL.Scheme)
			}
			return nil
		},
	}
}

func (w *web) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/"+name, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "chartseal")
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return io.ReadAll(io.LimitReader(resp.Body, limit+1))
	case http.StatusNotFound:
		return nil, fs.ErrNotExist
	}
	return nil, fmt.Errorf("answer is %d", resp.StatusCode)
}

// Close ends the connections that wait for another request.
func (w *web) Close() error {
	w.client.CloseIdleConnections()
	return nil
}
