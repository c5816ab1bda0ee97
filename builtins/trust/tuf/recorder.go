// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/chartseal/chartseal/builtins"
)

// A recorder fetches for the client and remembers what an error needs to be
// understood. It is the client's fetcher.
type recorder struct {
	read    func(name string, limit int64) ([]byte, error)
	history *history
	last    string // file asked for
}

// recording fetches from a mirror no more than limit bytes at a time.
func recording(ctx context.Context, from mirror, h *history, limit int64) *recorder {
	return &recorder{history: h, read: func(name string, signed int64) ([]byte, error) {
		most := min(signed, limit)
		raw, err := from.read(ctx, name, most)
		if err == nil && int64(len(raw)) > most {
			return nil, refuse("%s has more than %d bytes", name, most)
		}
		return raw, err
	}}
}

// DownloadFile is called by the client.
func (r *recorder) DownloadFile(address string, limit int64, _ time.Duration) ([]byte, error) {
	r.last = strings.TrimPrefix(address, base+"/")
	raw, err := r.read(r.last, limit)
	switch {
	case err == nil:
		r.history.see(r.last, raw)
		return raw, nil
	case errors.As(err, new(Refused)):
		return nil, err
	case errors.Is(err, fs.ErrNotExist):
		return nil, &metadata.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: r.last}
	}
	return nil, Unavailable(fmt.Sprintf("reading %s: %s", r.last, builtins.Printable(err.Error())))
}

// explain says in one sentence what the client says in several.
func (r *recorder) explain(err error) error {
	var (
		refused  Refused
		away     Unavailable
		missing  *metadata.ErrDownloadHTTP
		expired  *metadata.ErrExpiredMetadata
		older    *metadata.ErrBadVersionNumber
		unsigned *metadata.ErrUnsignedMetadata
		altered  *metadata.ErrLengthOrHashMismatch
		local    *fs.PathError
	)
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &away):
		return away
	case errors.As(err, &missing):
		return refuse("the mirror has no %s", missing.URL)
	case errors.As(err, &expired):
		return refuse("the mirror is out of date: %s", expired.Msg)
	case errors.As(err, &older):
		return refuse("%s is older than what is kept, or than what vouches for it: %s", r.last, older.Msg)
	case errors.As(err, &unsigned):
		return refuse("%s is not signed by those whom the root names: %s", r.last, strings.TrimPrefix(unsigned.Msg, "Verifying "))
	case errors.As(err, &altered):
		return refuse("%s differs from what is signed: %s", r.last, altered.Msg)
	case errors.As(err, &local):
		return local
	}
	return refuse("%s cannot be read: %s", r.last, err.Error())
}

func refuse(format string, args ...any) error {
	return Refused(builtins.Printable(fmt.Sprintf(format, args...)))
}
