// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// The keys of the Secret.
const (
	caCert      = "ca.crt"
	caKey       = "ca.key"
	nextCert    = "next-ca.crt"
	nextKey     = "next-ca.key"
	oldCert     = "old-ca.crt"
	servingCert = "tls.crt"
	servingKey  = "tls.key"
	timesKey    = "rotation.json"
)

// A Policy is which certificates are wanted, and how fast a CA may change.
type Policy struct {
	Names       []string      // host names and IP addresses of the serving certificate
	CA          time.Duration // life of a CA; a new one is made at two thirds of it
	Serving     time.Duration // life of a serving certificate; renewed at two thirds of it
	Propagation time.Duration // from the bundle in every Provider to its first use
	Overlap     time.Duration // from the first use of a CA to the end of the one before
}

// Validate refuses what would leave no time to rotate.
func (p Policy) Validate() error {
	if len(p.Names) == 0 {
		return errors.New("a serving certificate without names")
	}
	for _, name := range p.Names {
		if net.ParseIP(name) == nil && len(validation.IsDNS1123Subdomain(name)) > 0 {
			return fmt.Errorf("%q is neither a host name nor an IP address", name)
		}
	}
	switch {
	case p.Propagation < 0:
		return fmt.Errorf("a propagation of %v", p.Propagation)
	case p.Overlap < p.Propagation:
		return fmt.Errorf("an overlap of %v is shorter than the propagation of %v", p.Overlap, p.Propagation)
	case p.Serving < time.Hour || p.Serving/3 < p.Propagation:
		return fmt.Errorf("serving certificates of %v: it takes an hour, and three times the propagation of %v", p.Serving, p.Propagation)
	case p.CA/3 < p.Serving || p.CA/3 < p.Overlap+p.Propagation:
		return fmt.Errorf("a CA of %v: it takes three times the life %v of serving certificates, the overlap and the propagation", p.CA, p.Serving)
	}
	return nil
}

// A Step is what to do now.
type Step struct {
	Data   map[string][]byte // what the Secret must hold
	Bundle []byte            // what every Provider must have, as PEM
	Events []Event           // what was done, and why
	Due    time.Time         // when there is more to do
}

// An Event is worth a line in the log; a warning tells of something that
// somebody should know of, such as a repair.
type Event struct {
	Level slog.Level
	Text  string
}

// Advance is one step from the data of the Secret, given the bundles that the
// Providers have, as PEM.
//
// Called again with what it gave, at the same time, it changes nothing. Keys of
// the Secret that are not ours stay as they are. If the Secret holds
// certificates that were not made here, or one whose time has not come, the
// answer is an error and nothing may be written.
func (p Policy) Advance(now time.Time, data map[string][]byte, bundles [][]byte) (Step, error) {
	r := &rotation{policy: p, now: now}
	for _, bundle := range bundles {
		r.bundles = append(r.bundles, readBundle(bundle))
	}
	steps := []func() error{func() error { return r.read(data) }, r.mend, r.retire, r.announce, r.observe, r.promote, r.renew}
	for _, step := range steps {
		if err := step(); err != nil {
			return Step{}, err
		}
	}
	next, err := r.data(data)
	return Step{next, encodeBundle(r.old, r.ca.cert, r.next.cert), r.events, r.due()}, err
}

// A rotation is what the Secret holds, as far as it is good.
type rotation struct {
	policy  Policy
	now     time.Time
	bundles [][]*x509.Certificate

	first   bool // there was nothing
	ca      pair // signs
	next    pair // will sign; complete or nothing
	old     *x509.Certificate
	serving pair // complete and of the CA, or nothing
	fresh   bool // the CA took over just now
	times   times
	events  []Event
}

// times are when steps were taken.
type times struct {
	Published time.Time `json:"published,omitzero"` // every Provider was seen with the next CA
	Replaced  time.Time `json:"replaced,omitzero"`  // the next CA became the CA
}

func (r *rotation) say(level slog.Level, format string, args ...any) {
	r.events = append(r.events, Event{level, fmt.Sprintf(format, args...)})
}

func (r *rotation) info(format string, args ...any) { r.say(slog.LevelInfo, format, args...) }
func (r *rotation) warn(format string, args ...any) { r.say(slog.LevelWarn, format, args...) }

func (r *rotation) read(data map[string][]byte) error {
	r.first = !slices.ContainsFunc([]string{caCert, caKey, servingCert, servingKey, timesKey}, func(key string) bool { return len(data[key]) > 0 })
	if !r.first && len(data[timesKey]) == 0 && (len(data[caKey]) == 0 || !madeHere(data[caCert])) {
		return errors.New("its certificates were not made here: there is no rotation.json, and no ca.key with a ca.crt of ours; name another Secret, or delete this one")
	}
	for _, key := range []string{caCert, nextCert} {
		if cert, err := readCertificate(data[key]); err == nil && errors.Is(checkAuthority(cert, r.now), errFuture) {
			return fmt.Errorf("%s begins at %v, and it is %v: one of the clocks is wrong", key, cert.NotBefore, r.now.UTC())
		}
	}
	r.readTimes(data[timesKey])
	r.ca = r.readAuthority(data, caCert, caKey)
	if len(data[nextCert]) > 0 || len(data[nextKey]) > 0 {
		if r.next = r.readAuthority(data, nextCert, nextKey); r.next.complete() && !belongs(r.next.key, r.next.cert) {
			r.fault(nextKey, errForeign)
			r.next.key = nil
		}
		if !r.next.complete() {
			r.next = pair{}
		}
	}
	if len(data[oldCert]) > 0 {
		r.old = r.readAuthority(data, oldCert, "").cert
	}
	r.serving = r.readServing(data)
	return nil
}

// moment is now, as it is written down.
func (r *rotation) moment() time.Time { return r.now.UTC().Truncate(time.Second) }

// readTimes takes times that cannot be read, or have not come, for unknown:
// the waits begin anew.
func (r *rotation) readTimes(raw []byte) {
	if r.first {
		return
	}
	var t times
	err := json.Unmarshal(raw, &t)
	if err == nil && (t.Published.After(r.now.Add(skew)) || t.Replaced.After(r.now.Add(skew))) {
		err = errFuture
	}
	if err != nil {
		r.warn("%s: %v; waiting anew", timesKey, err)
		return
	}
	r.times = t
}

// readAuthority reads a CA. Certificate and key may still be of two.
func (r *rotation) readAuthority(data map[string][]byte, crt, key string) (ca pair) {
	cert, err := readCertificate(data[crt])
	if err == nil {
		err = checkAuthority(cert, r.now)
	}
	if err != nil {
		r.fault(crt, err)
	} else {
		ca.cert = cert
	}
	if key == "" || errors.Is(err, errExpired) {
		return ca
	}
	if ca.key, err = readKey(data[key]); err != nil {
		r.fault(key, err)
	}
	return ca
}

func (r *rotation) readServing(data map[string][]byte) pair {
	cert, err := readCertificate(data[servingCert])
	if err != nil {
		r.fault(servingCert, err)
		return pair{}
	}
	key, err := readKey(data[servingKey])
	if err == nil && !belongs(key, cert) {
		err = errForeign
	}
	if err != nil {
		r.fault(servingKey, err)
		return pair{cert: cert}
	}
	return pair{cert, key}
}

// fault tells of a broken entry, unless there never was any.
func (r *rotation) fault(key string, err error) {
	if !r.first {
		r.warn("%s: %v", key, err)
	}
}

// mend restores the CA's certificate: as Providers have it, or else from its
// key. Then it drops a serving certificate that is not the CA's.
func (r *rotation) mend() error {
	if r.ca.complete() && !belongs(r.ca.key, r.ca.cert) {
		r.settle()
	}
	if r.ca.cert == nil {
		r.recall()
	}
	if r.ca.cert == nil && r.ca.key != nil {
		ca, err := newAuthority(r.ca.key, r.now, r.policy.CA)
		if err != nil {
			return err
		}
		r.ca = ca
		r.warn("%s made anew from its key", caCert)
	}
	r.checkServing()
	return nil
}

// settle drops the CA's key or its certificate, which are not of each other.
// The one that vouches for the serving certificate is right.
func (r *rotation) settle() {
	if r.serving.cert != nil && r.serving.cert.CheckSignatureFrom(r.ca.cert) == nil {
		r.fault(caKey, errForeign)
		r.ca.key = nil
		return
	}
	r.warn("%s: certificate of another key", caCert)
	r.ca.cert = nil
}

// recall looks in the Providers' bundles for the CA. Whichever certificate
// has the key, or verifies the serving certificate, is as good as the lost one:
// nobody else can make such a thing trusted more than it is.
func (r *rotation) recall() {
	for _, cert := range slices.Concat(r.bundles...) {
		keyed := r.ca.key != nil && belongs(r.ca.key, cert)
		signed := r.ca.key == nil && r.serving.cert != nil && r.serving.cert.CheckSignatureFrom(cert) == nil
		if checkAuthority(cert, r.now) == nil && (keyed || signed) {
			r.ca.cert = cert
			r.warn("%s restored from the caBundle of a Provider", caCert)
			return
		}
	}
}

func (r *rotation) checkServing() {
	if r.serving.complete() && r.ca.cert != nil {
		err := checkServing(r.serving.cert, r.ca.cert, r.now)
		if err == nil {
			return
		}
		r.fault(servingCert, err)
	}
	r.serving = pair{}
}

// retire is step 3.
func (r *rotation) retire() error {
	if r.old == nil {
		return nil
	}
	if r.times.Replaced.IsZero() {
		r.times.Replaced = r.moment()
	}
	if !r.now.Before(r.times.Replaced.Add(r.policy.Overlap)) {
		r.info("the old CA, %s, leaves the bundles", r.old.Subject.CommonName)
		r.old = nil
	}
	return nil
}

// announce is step 1: a CA that is due, or cannot sign, gets a successor.
func (r *rotation) announce() error {
	if r.next.complete() || r.ca.complete() && r.now.Before(due(r.ca.cert)) {
		return nil
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	r.next, err = newAuthority(key, r.now, r.policy.CA)
	if err != nil {
		return err
	}
	r.times.Published = time.Time{}
	r.info("a new CA, %s, until %s", r.next.cert.Subject.CommonName, r.next.cert.NotAfter.Format(time.DateOnly))
	return nil
}

// observe notes since when every Provider has the next CA. One that has lost
// it, or came without it, makes the wait begin anew.
func (r *rotation) observe() error {
	lacking := slices.ContainsFunc(r.bundles, func(bundle []*x509.Certificate) bool {
		return !slices.ContainsFunc(bundle, r.next.cert.Equal)
	})
	switch {
	case r.next.cert == nil || lacking:
		r.times.Published = time.Time{}
	case r.times.Published.IsZero():
		r.times.Published = r.moment()
	}
	return nil
}

// promote is step 2, up to the certificate. With nothing left to lose it does
// not wait: without a certificate that can be served, or a key to sign one,
// every call fails until Providers have the new CA.
func (r *rotation) promote() error {
	lost := !r.serving.complete() && !r.ca.complete()
	waited := !r.times.Published.IsZero() && !r.now.Before(r.times.Published.Add(r.policy.Propagation))
	if !r.next.complete() || !waited && !lost {
		return nil
	}
	if lost && !r.first {
		r.warn("nothing left to serve or to sign with: the new CA takes over at once")
	}
	r.old, r.ca, r.next, r.fresh = r.ca.cert, r.next, pair{}, true
	r.times = times{Replaced: r.moment()}
	r.info("the new CA, %s, signs", r.ca.cert.Subject.CommonName)
	return nil
}

// renew makes a serving certificate if there is a reason to.
func (r *rotation) renew() error {
	reason := r.renewal()
	if reason == "" || !r.ca.complete() {
		return nil
	}
	serving, err := newServing(r.ca, r.policy.Names, r.now, r.policy.Serving)
	if err != nil {
		return err
	}
	r.serving = serving
	r.info("a new serving certificate until %s: %s", serving.cert.NotAfter.UTC().Format(time.RFC3339), reason)
	return nil
}

func (r *rotation) renewal() string {
	var template x509.Certificate
	template.DNSNames, template.IPAddresses = splitNames(r.policy.Names)
	wanted := namesOf(&template)
	switch {
	case !r.serving.complete():
		return "there is none to serve"
	case r.fresh:
		return "the CA is new"
	case !slices.Equal(namesOf(r.serving.cert), wanted):
		return fmt.Sprintf("the present one is for %q, wanted is %q", namesOf(r.serving.cert), wanted)
	case !r.now.Before(due(r.serving.cert)):
		return "two thirds of the present one's life are over"
	}
	return ""
}

// data lays what the rotation holds over what the Secret held.
func (r *rotation) data(before map[string][]byte) (map[string][]byte, error) {
	data := map[string][]byte{}
	maps.Copy(data, before)
	keys, err := r.encodeKeys()
	if err != nil {
		return nil, err
	}
	maps.Copy(data, keys)
	for key, cert := range map[string]*x509.Certificate{caCert: r.ca.cert, nextCert: r.next.cert, oldCert: r.old, servingCert: r.serving.cert} {
		if delete(data, key); cert != nil {
			data[key] = encodeCertificate(cert)
		}
	}
	data[timesKey], err = json.Marshal(r.times)
	maps.DeleteFunc(data, func(_ string, value []byte) bool { return value == nil })
	return data, err
}

// encodeKeys gives nil for a key that there is not: what stands in its place is
// junk, or has ended.
func (r *rotation) encodeKeys() (map[string][]byte, error) {
	keys := map[string][]byte{}
	for name, p := range map[string]pair{caKey: r.ca, nextKey: r.next, servingKey: r.serving} {
		keys[name] = nil
		if p.key == nil {
			continue
		}
		encoded, err := encodeKey(p.key)
		if err != nil {
			return nil, err
		}
		keys[name] = encoded
	}
	return keys, nil
}

// due is when the next step will be. One that waits for Providers, or for a
// serving certificate to end, is not known.
func (r *rotation) due() time.Time {
	at := r.serving.cert.NotAfter
	if r.ca.complete() {
		at = earliest(at, due(r.serving.cert))
	}
	if !r.next.complete() {
		at = earliest(at, due(r.ca.cert))
	}
	if !r.times.Published.IsZero() {
		at = earliest(at, r.times.Published.Add(r.policy.Propagation))
	}
	if r.old != nil {
		at = earliest(at, r.times.Replaced.Add(r.policy.Overlap))
	}
	return at
}

// changed says whether the Secret has to be written.
func changed(before, after map[string][]byte) bool {
	return !maps.EqualFunc(before, after, bytes.Equal)
}
