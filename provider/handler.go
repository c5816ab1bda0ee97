// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

// Path is where checks are asked for.
const Path = "/v1/check"

// maxWrite is how long a client may take to read its answer.
const maxWrite = 10 * time.Second

// ServeHTTP answers a ProviderRequest. Whatever is wrong, the body of the
// answer is a ProviderResponse: Gatekeeper reads nothing else of it.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked, room := time.Now(), buffers.Get().(*buffer)
	defer buffers.Put(room)
	status, body, keys := p.respond(r, room)
	p.metrics.asked(status, keys, time.Since(asked))
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(maxWrite))
	w.WriteHeader(status)
	_, _ = w.Write(body) // who does not read it has left
}

// A buffer has room for a request and for its answer, again and again.
type buffer struct {
	body   bytes.Buffer
	answer []byte
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func (p *Provider) respond(r *http.Request, room *buffer) (status int, body []byte, keys int) {
	defer func() {
		if fault := recover(); fault != nil {
			p.log.Error("request panicked", slog.Any("panic", fault), slog.String("stack", string(debug.Stack())))
			status, body = refuse(http.StatusInternalServerError, errors.New("the provider failed inside; its log has the details"))
		}
	}()
	all, status, err := read(r, &room.body)
	if err != nil {
		status, body = refuse(status, err)
		return status, body, 0
	}
	ctx, end := p.tracing.request(r)
	defer end(len(all))
	items, systemError := p.answer(ctx, all)
	room.answer = appendResponse(room.answer[:0], items, systemError)
	return http.StatusOK, room.answer, len(all)
}

func refuse(status int, err error) (int, []byte) {
	return status, appendResponse(nil, nil, err.Error())
}

// read gives the keys of a request, or the status that says what it is instead.
func read(r *http.Request, body *bytes.Buffer) (keys []string, status int, err error) {
	switch {
	case r.URL.Path != Path:
		return nil, http.StatusNotFound, errors.New("there is nothing at this path, checks are at " + Path)
	case r.Method != http.MethodPost:
		return nil, http.StatusMethodNotAllowed, fmt.Errorf("method is %q, want POST", r.Method)
	}
	body.Reset()
	_, err = body.ReadFrom(http.MaxBytesReader(nil, r.Body, maxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("body has more than %d bytes", maxBody)
	case err != nil:
		return nil, http.StatusBadRequest, errors.New("body did not arrive whole")
	}
	if keys, err = parseRequest(body.Bytes()); err != nil {
		return nil, http.StatusBadRequest, err
	}
	if len(keys) > maxKeys {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("request has %d keys, at most %d are answered", len(keys), maxKeys)
	}
	return keys, http.StatusOK, nil
}
