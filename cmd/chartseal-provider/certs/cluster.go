// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

var (
	secretResource   = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	providerResource = schema.GroupVersionResource{Group: "externaldata.gatekeeper.sh", Version: "v1beta1", Resource: "providers"}
)

// fieldManager is who the API server says has set our fields.
const fieldManager = "chartseal-provider-certs"

// maxRounds is how many rounds come to rest: a rotation takes three, and each
// conflict with another replica one more.
const maxRounds = 20

// A Rotator keeps the Secret of a cluster, and the caBundle of its Providers,
// as a [Policy] wants them.
type Rotator struct {
	Client    dynamic.Interface
	Namespace string
	Secret    string
	Providers []string // empty: all whose URL names a host of the Policy
	Create    Create
	Policy    Policy
	Log       *slog.Logger
}

// Create is what named Providers are made with if they are missing. Gatekeeper
// admits no Provider without a caBundle, so nobody else can make one first.
type Create struct {
	URL     string // empty: none is made
	Timeout int    // seconds
}

// Run settles, and again after an interval or when the next step is due, until
// the context ends. What goes wrong is logged, and tried again.
func (r *Rotator) Run(ctx context.Context, interval time.Duration) {
	for {
		due, err := r.Settle(ctx)
		if err != nil && ctx.Err() == nil {
			r.Log.Error("certificates", "err", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait(interval, time.Until(due), err)):
		}
	}
}

// wait spreads replicas over a fifth of the interval.
func wait(interval, due time.Duration, err error) time.Duration {
	spread := interval - time.Duration(rand.Int64N(int64(interval)/5+1))
	if err != nil || due > spread {
		return spread
	}
	return max(due, time.Second)
}

// Settle takes rounds until there is nothing more to do now, and says when
// there will be.
//
// A conflict with another replica is another round. A Provider that cannot be
// written, is missing or is somebody else's does not keep others from being
// written; it is the error at the end.
func (r *Rotator) Settle(ctx context.Context) (due time.Time, err error) {
	for range maxRounds {
		var again bool
		due, again, err = r.round(ctx)
		if conflicts(err) {
			again, err = true, pause(ctx)
		}
		if !again || err != nil {
			return due, err
		}
	}
	return due, errors.Join(err, fmt.Errorf("no rest after %d rounds: somebody else writes the Secret or a Provider", maxRounds))
}

// conflicts says that an object is not as it was read.
func conflicts(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// pause lets the other replica get on.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(rand.Int64N(int64(200 * time.Millisecond)))):
		return nil
	}
}

// round reads the Providers before the Secret, and so never writes a bundle
// that is older than one they were seen with; the package's doc has the why.
func (r *Rotator) round(ctx context.Context) (due time.Time, again bool, err error) {
	providers, err := r.readProviders(ctx)
	if err != nil {
		return due, false, err
	}
	s, err := r.readSecret(ctx)
	if err != nil {
		return due, false, err
	}
	before, err := s.data()
	if err != nil {
		return due, false, err
	}
	step, err := r.Policy.Advance(time.Now(), before, providers.bundles())
	if err != nil {
		return due, false, fmt.Errorf("the Secret %s/%s: %w", r.Namespace, r.Secret, err)
	}
	if again = changed(before, step.Data); again {
		if err := r.writeSecret(ctx, s, step.Data); err != nil {
			return due, false, err
		}
	}
	for _, e := range step.Events {
		r.Log.Log(ctx, e.Level, e.Text, "secret", r.Namespace+"/"+r.Secret)
	}
	written, err := r.writeProviders(ctx, providers, step.Bundle)
	return step.Due, again || written, err
}

// A secret is the object as it was read; one without a resourceVersion is not
// there yet.
type secret struct{ *unstructured.Unstructured }

func (r *Rotator) readSecret(ctx context.Context) (secret, error) {
	object, err := r.Client.Resource(secretResource).Namespace(r.Namespace).Get(ctx, r.Secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return secret{&unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
			"metadata": map[string]any{"namespace": r.Namespace, "name": r.Secret},
		}}}, nil
	}
	if err != nil {
		return secret{}, fmt.Errorf("reading Secret %s/%s: %w", r.Namespace, r.Secret, err)
	}
	return secret{object}, nil
}

func (s secret) data() (map[string][]byte, error) {
	encoded, _, err := unstructured.NestedStringMap(s.Object, "data")
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	for key, value := range encoded {
		if data[key], err = base64.StdEncoding.DecodeString(value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return data, nil
}

// writeSecret creates the Secret, or replaces the one that was read: the
// resourceVersion in it makes the API server refuse if there is another by now.
func (r *Rotator) writeSecret(ctx context.Context, s secret, data map[string][]byte) error {
	encoded := map[string]any{}
	for key, value := range data {
		encoded[key] = base64.StdEncoding.EncodeToString(value)
	}
	s.Object["data"] = encoded
	secrets := r.Client.Resource(secretResource).Namespace(r.Namespace)
	var err error
	if s.GetResourceVersion() == "" {
		_, err = secrets.Create(ctx, s.Unstructured, metav1.CreateOptions{FieldManager: fieldManager})
	} else {
		_, err = secrets.Update(ctx, s.Unstructured, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	if err != nil {
		return fmt.Errorf("writing Secret %s/%s: %w", r.Namespace, r.Secret, err)
	}
	return nil
}

// A provider is a Provider as it was read.
type provider struct {
	name, version string
	bundle        []byte
}

// providers are those that were read: ours, the names of those that are missing,
// and an error for each that is somebody else's.
type providers struct {
	found   []provider
	missing []string
	foreign []error
}

func (p providers) bundles() (bundles [][]byte) {
	for _, found := range p.found {
		bundles = append(bundles, found.bundle)
	}
	return bundles
}

// readProviders reads the Providers that are named, or else all that call us.
func (r *Rotator) readProviders(ctx context.Context) (all providers, err error) {
	if len(r.Providers) == 0 {
		return r.listProviders(ctx)
	}
	for _, name := range r.Providers {
		object, err := r.Client.Resource(providerResource).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			all.missing = append(all.missing, name)
		case err != nil:
			return providers{}, fmt.Errorf("reading Provider %q: %w", name, err)
		case !r.callsUs(object):
			all.foreign = append(all.foreign, fmt.Errorf("the Provider %q calls %s, and the certificate is for %q: it is somebody else's, and is left as it is", name, urlOf(object), r.Policy.Names))
		default:
			all.found = append(all.found, providerOf(object))
		}
	}
	return all, nil
}

func (r *Rotator) listProviders(ctx context.Context) (all providers, err error) {
	list, err := r.Client.Resource(providerResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return providers{}, fmt.Errorf("listing Providers: %w", err)
	}
	for i := range list.Items {
		if r.callsUs(&list.Items[i]) {
			all.found = append(all.found, providerOf(&list.Items[i]))
		}
	}
	return all, nil
}

// callsUs says that the Provider's URL names a host of the certificate.
func (r *Rotator) callsUs(object *unstructured.Unstructured) bool {
	u, err := url.Parse(urlOf(object))
	return err == nil && slices.Contains(r.Policy.Names, u.Hostname())
}

func urlOf(object *unstructured.Unstructured) string {
	address, _, _ := unstructured.NestedString(object.Object, "spec", "url")
	return address
}

// providerOf takes a caBundle that cannot be read for none.
func providerOf(object *unstructured.Unstructured) provider {
	encoded, _, _ := unstructured.NestedString(object.Object, "spec", "caBundle")
	bundle, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		bundle = nil
	}
	return provider{object.GetName(), object.GetResourceVersion(), bundle}
}

// writeProviders writes the bundle wherever it is not. A conflict alone ends it:
// the bundle may be old.
func (r *Rotator) writeProviders(ctx context.Context, all providers, bundle []byte) (written bool, err error) {
	err = errors.Join(all.foreign...)
	for _, p := range all.found {
		if bytes.Equal(p.bundle, bundle) {
			continue
		}
		failure := r.patchProvider(ctx, p, bundle)
		if conflicts(failure) {
			return true, failure
		}
		written, err = written || failure == nil, errors.Join(err, failure)
	}
	for _, name := range all.missing {
		failure := r.createProvider(ctx, name, bundle)
		if conflicts(failure) {
			return true, failure
		}
		written, err = written || failure == nil, errors.Join(err, failure)
	}
	return written, err
}

// patchProvider sets the caBundle, and nothing else, of the Provider as it was
// read.
func (r *Rotator) patchProvider(ctx context.Context, p provider, bundle []byte) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": p.version},
		"spec":     map[string]any{"caBundle": base64.StdEncoding.EncodeToString(bundle)},
	})
	if err != nil {
		return err
	}
	_, err = r.Client.Resource(providerResource).Patch(ctx, p.name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("writing caBundle of Provider %q: %w", p.name, err)
	}
	r.Log.Info("caBundle written", "provider", p.name, "certificates", len(readBundle(bundle)))
	return nil
}

func (r *Rotator) createProvider(ctx context.Context, name string, bundle []byte) error {
	if r.Create.URL == "" {
		return fmt.Errorf("the Provider %q does not exist", name)
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": providerResource.GroupVersion().String(), "kind": "Provider",
		"metadata": map[string]any{"name": name},
		"spec":     map[string]any{"url": r.Create.URL, "timeout": int64(r.Create.Timeout), "caBundle": base64.StdEncoding.EncodeToString(bundle)},
	}}
	if _, err := r.Client.Resource(providerResource).Create(ctx, object, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("creating Provider %q: %w", name, err)
	}
	r.Log.Info("Provider created", "provider", name, "url", r.Create.URL)
	return nil
}
