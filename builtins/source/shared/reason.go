// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/chartseal/chartseal/builtins"
)

// refusals are the first words of what Redis and Valkey answer in place of a value.
var refusals = []string{"WRONGPASS", "NOAUTH", "NOPERM", "WRONGTYPE", "LOADING", "MASTERDOWN", "MOVED", "READONLY", "MISCONF", "OOM", "ERR"}

// reason is what may be said of err. A server knows the password and may send
// it back, so of its own words only those that are known are shown.
func reason(err error) string {
	var refused redis.Error
	switch {
	case errors.As(err, &refused):
		word, _, _ := strings.Cut(refused.Error(), " ")
		if slices.Contains(refusals, word) {
			return fmt.Sprintf("the server answered %s", word)
		}
		return "the server answered with an error"
	case timedOut(err):
		return "the server did not answer in time"
	}
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	var frame frameError
	if errors.As(err, &network) || errors.As(err, &certificate) || errors.As(err, &frame) || errors.Is(err, io.EOF) {
		return builtins.Clip(err.Error())
	}
	return "the server does not answer as Redis does"
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}
