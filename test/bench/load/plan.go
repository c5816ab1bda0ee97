// SPDX-License-Identifier: Apache-2.0

// Package load asks a provider of external data what Gatekeeper would ask it,
// often, and measures the answers. Its command runs in a process of its own,
// so that server and client share no collector and no scheduler:
//
//	load < plan.json > result.json
package load

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// A Mode is in which order requests are made.
type Mode string

// What a plan can do with its requests.
const (
	Warm     Mode = "warm"     // the same ones again and again, in turn
	Cold     Mode = "cold"     // each once
	Herd     Mode = "herd"     // each once by every connection, all at one moment
	Distinct Mode = "distinct" // never the same key twice: {n} in a key is a number of its own
)

// A Plan says whom to ask for what. Of all bounds that are given the first
// one reached ends the run; warm and distinct need one.
type Plan struct {
	URL           string
	CA, Cert, Key string // files: the server's authority, our certificate and its key
	Mode          Mode
	Connections   int
	Requests      int        // at most, 0 is no bound
	Seconds       float64    // at most, 0 is no bound
	Rate          float64    // requests per second, 0 is as fast as they are answered
	Keys          [][]string // of each request
	First         []string   // keys that each connection asks for once before anything counts
	Want          string     // what an answer has at least once per key
	Never         string     // what no answer has, if not ""
}

// A Result is what a run saw. Latencies are in seconds, those of a plan with a
// rate from the moment when the request was due. Answers counts the different
// bodies that came back.
type Result struct {
	Requests, Errors, Answers, Dialled int
	Seconds, P50, P95, P99, Max        float64
	FirstError                         string `json:",omitempty"`
}

// PerSecond is how many requests were answered as wanted.
func (r Result) PerSecond() float64 { return float64(r.Requests-r.Errors) / r.Seconds }

func (p Plan) check() error {
	switch {
	case p.Connections < 1 || len(p.Keys) == 0:
		return errors.New("a plan needs a connection and a request")
	case p.Mode != Warm && p.Mode != Cold && p.Mode != Herd && p.Mode != Distinct:
		return errors.New("unknown mode " + strconv.Quote(string(p.Mode)))
	case (p.Mode == Warm || p.Mode == Distinct) && p.Requests == 0 && p.Seconds == 0:
		return errors.New("nothing bounds the run")
	}
	return nil
}

// A request is its body, how many keys are in it, and when it is due.
type request struct {
	body []byte
	keys int
	due  time.Time
}

// requests gives the request with a number, false after the last one. It can
// be called from everywhere at once.
func (p Plan) requests() func(n int) (request, bool) {
	var made []request
	most := 0
	for _, keys := range p.Keys {
		made = append(made, request{body: Body(keys), keys: len(keys)})
		most = max(most, len(keys))
	}
	return func(n int) (request, bool) {
		if p.Requests > 0 && n >= p.Requests || p.Mode == Cold && n >= len(made) {
			return request{}, false
		}
		r := made[n%len(made)]
		if p.Mode == Distinct {
			r.body = Body(numbered(p.Keys[n%len(made)], n*most))
		}
		return r, true
	}
}

// numbered puts numbers from first on in the place of {n}.
func numbered(keys []string, first int) []string {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = strings.ReplaceAll(key, "{n}", strconv.Itoa(first+i))
	}
	return all
}

// Body is the ProviderRequest for keys, as Gatekeeper writes it.
func Body(keys []string) []byte {
	var body struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Request    struct {
			Keys []string `json:"keys"`
		} `json:"request"`
	}
	body.APIVersion, body.Kind, body.Request.Keys = "externaldata.gatekeeper.sh/v1beta1", "ProviderRequest", keys
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings are always JSON
	}
	return raw
}
