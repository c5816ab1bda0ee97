// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"

	"github.com/chartseal/chartseal/cmd/chartseal-provider/certs"
)

var (
	secrets   = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	providers = schema.GroupVersionResource{Group: "externaldata.gatekeeper.sh", Version: "v1beta1", Resource: "providers"}
)

// A cluster is the fake one of client-go, which by itself refuses no write:
// here objects have versions, and a write of an older one is a conflict.
type cluster struct {
	fake    dynamic.Interface
	mu      sync.Mutex
	version int
	written func() // called after each write
}

func newCluster(objects ...runtime.Object) *cluster {
	kinds := map[schema.GroupVersionResource]string{secrets: "SecretList", providers: "ProviderList"}
	return &cluster{fake: fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, objects...), version: 1}
}

func newProvider(name, url string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "Provider",
		"metadata": map[string]any{"name": name, "resourceVersion": "1"},
		"spec":     map[string]any{"url": url, "timeout": int64(2), "caBundle": "cGxhY2Vob2xkZXI="},
	}}
}

const providerURL = "https://chartseal-provider.chartseal:8443/v1/check"

// client is one replica's. before is called with the number of each call.
func (c *cluster) client(before func(call int)) *client { return &client{c, before, 0} }

type client struct {
	*cluster
	before func(int)
	calls  int
}

func (c *client) Resource(gvr schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	resource := c.fake.Resource(gvr)
	return namespaceable{objects{resource, c}, resource}
}

type namespaceable struct {
	objects
	resource dynamic.NamespaceableResourceInterface
}

func (n namespaceable) Namespace(name string) dynamic.ResourceInterface {
	return objects{n.resource.Namespace(name), n.client}
}

type objects struct {
	dynamic.ResourceInterface
	client *client
}

func (o objects) call() {
	o.client.calls++
	if o.client.before != nil {
		o.client.before(o.client.calls)
	}
}

func (o objects) Get(ctx context.Context, name string, opts metav1.GetOptions, sub ...string) (*unstructured.Unstructured, error) {
	o.call()
	return o.ResourceInterface.Get(ctx, name, opts, sub...)
}

func (o objects) List(ctx context.Context, opts metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	o.call()
	return o.ResourceInterface.List(ctx, opts)
}

func (o objects) Create(ctx context.Context, object *unstructured.Unstructured, opts metav1.CreateOptions, sub ...string) (*unstructured.Unstructured, error) {
	o.call()
	return o.write(func(version string) (*unstructured.Unstructured, error) {
		object.SetResourceVersion(version)
		return o.ResourceInterface.Create(ctx, object, opts, sub...)
	})
}

func (o objects) Update(ctx context.Context, object *unstructured.Unstructured, opts metav1.UpdateOptions, sub ...string) (*unstructured.Unstructured, error) {
	o.call()
	return o.write(func(version string) (*unstructured.Unstructured, error) {
		if err := o.current(ctx, object.GetName(), object.GetResourceVersion()); err != nil {
			return nil, err
		}
		object.SetResourceVersion(version)
		return o.ResourceInterface.Update(ctx, object, opts, sub...)
	})
}

func (o objects) Patch(ctx context.Context, name string, kind types.PatchType, raw []byte, opts metav1.PatchOptions, sub ...string) (*unstructured.Unstructured, error) {
	o.call()
	return o.write(func(version string) (*unstructured.Unstructured, error) {
		var patch unstructured.Unstructured
		if err := json.Unmarshal(raw, &patch.Object); err != nil {
			return nil, err
		}
		if err := o.current(ctx, name, patch.GetResourceVersion()); err != nil {
			return nil, err
		}
		patch.SetResourceVersion(version)
		raw, err := json.Marshal(patch.Object)
		if err != nil {
			return nil, err
		}
		return o.ResourceInterface.Patch(ctx, name, kind, raw, opts, sub...)
	})
}

func (o objects) write(write func(version string) (*unstructured.Unstructured, error)) (*unstructured.Unstructured, error) {
	c := o.client.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	object, err := write(strconv.Itoa(c.version))
	if err == nil && c.written != nil {
		c.written()
	}
	return object, err
}

func (o objects) current(ctx context.Context, name, version string) error {
	object, err := o.ResourceInterface.Get(ctx, name, metav1.GetOptions{})
	if err == nil && object.GetResourceVersion() != version {
		err = apierrors.NewConflict(schema.GroupResource{}, name, fmt.Errorf("it is %s, not %s", object.GetResourceVersion(), version))
	}
	return err
}

func (c *cluster) secret(t *testing.T) map[string][]byte {
	t.Helper()
	object, err := c.fake.Resource(secrets).Namespace("chartseal").Get(t.Context(), "certs", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data := map[string][]byte{}
	encoded, _, _ := unstructured.NestedStringMap(object.Object, "data")
	for key, value := range encoded {
		data[key] = decode(t, value)
	}
	return data
}

func (c *cluster) bundle(t *testing.T, name string) []byte {
	t.Helper()
	object, err := c.fake.Resource(providers).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	encoded, _, _ := unstructured.NestedString(object.Object, "spec", "caBundle")
	return decode(t, encoded)
}

func decode(t *testing.T, encoded string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// trusts wants what is served to verify against what the Provider has.
func (c *cluster) trusts(t *testing.T, provider string) {
	t.Helper()
	if err := verify(string(c.secret(t)["tls.crt"]), string(c.bundle(t, provider)), time.Now(), names...); err != nil {
		t.Error(err)
	}
}

func rotator(client dynamic.Interface, providers ...string) *certs.Rotator {
	return &certs.Rotator{Client: client, Namespace: "chartseal", Secret: "certs", Providers: providers, Policy: policy, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func settle(t *testing.T, r *certs.Rotator) {
	t.Helper()
	if _, err := r.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestProvidersThatCallUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(newProvider("chartseal", providerURL), newProvider("other", "https://other.chartseal:8443/"))
		settle(t, rotator(c.client(nil)))
		c.trusts(t, "chartseal")
		if string(c.bundle(t, "other")) != "placeholder" {
			t.Error("a Provider of somebody else is written")
		}
		object, _ := c.fake.Resource(providers).Get(t.Context(), "chartseal", metav1.GetOptions{})
		spec, _, _ := unstructured.NestedMap(object.Object, "spec")
		if spec["url"] != providerURL || spec["timeout"] != int64(2) || len(spec) != 3 {
			t.Errorf("more than the caBundle is changed: %v", spec)
		}
		version := c.version
		if settle(t, rotator(c.client(nil))); c.version != version {
			t.Error("something is written while all is in order")
		}
	})
}

func TestMissingProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(newProvider("second", providerURL))
		r := rotator(c.client(nil), "first", "second")
		if _, err := r.Settle(t.Context()); err == nil || !strings.Contains(err.Error(), `Provider "first" does not exist`) {
			t.Errorf("a missing Provider: %v", err)
		}
		c.trusts(t, "second")
		r.Create = certs.Create{URL: providerURL, Timeout: 2}
		settle(t, r)
		c.trusts(t, "first")
	})
}

// TestProviderOfOthers: one that is named by mistake keeps its caBundle, and
// does not keep ours from being written.
func TestProviderOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(newProvider("chartseal", "https://chartseal-provider.elsewhere:8443/v1/check"), newProvider("second", providerURL))
		r := rotator(c.client(nil), "chartseal", "second")
		_, err := r.Settle(t.Context())
		if err == nil || !strings.Contains(err.Error(), `the Provider "chartseal" calls https://chartseal-provider.elsewhere:8443/v1/check`) {
			t.Errorf("a Provider of others: %v", err)
		}
		if string(c.bundle(t, "chartseal")) != "placeholder" {
			t.Error("a Provider of others is written")
		}
		c.trusts(t, "second")
	})
}

func TestSecretThatIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
			"metadata": map[string]any{"namespace": "chartseal", "name": "certs", "resourceVersion": "1", "labels": map[string]any{"a": "b"}},
		}}
		c := newCluster(newProvider("chartseal", providerURL), made)
		settle(t, rotator(c.client(nil), "chartseal"))
		c.trusts(t, "chartseal")
		if object, _ := c.fake.Resource(secrets).Namespace("chartseal").Get(t.Context(), "certs", metav1.GetOptions{}); object.GetLabels()["a"] != "b" {
			t.Error("labels are lost")
		}
	})
}

// TestReplicaThatStops lets one replica stop before each of its calls, while
// another goes through a whole rotation, and then go on with what it had read.
// After a day a CA is due only because its key is lost, which the one that
// stopped may not know: it then has nothing to write into the Secret.
func TestReplicaThatStops(t *testing.T) {
	for _, since := range []time.Duration{0, day, 7 * year, 7*year + policy.Propagation, 7*year + policy.Propagation + policy.Overlap} {
		for stop := 1; ; stop++ {
			if calls := stopped(t, since, stop); calls < stop {
				break // it ended before
			}
		}
	}
}

func stopped(t *testing.T, since time.Duration, stop int) (calls int) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(newProvider("a", providerURL), newProvider("b", providerURL))
		other := rotator(c.client(nil), "a", "b")
		for _, at := range []time.Duration{0, 7 * year, 7*year + policy.Propagation} {
			if at < since {
				time.Sleep(time.Until(midnight.Add(at)))
				settle(t, other)
			}
		}
		time.Sleep(time.Until(midnight.Add(since)))
		if since > 0 {
			c.written = func() { c.trusts(t, "a"); c.trusts(t, "b") }
		}
		slow := c.client(func(call int) {
			if call == stop {
				if since == day {
					c.loseKey(t)
				}
				for range 3 {
					settle(t, other)
					time.Sleep(policy.Propagation)
					settle(t, other)
					time.Sleep(policy.Overlap)
				}
			}
		})
		settle(t, rotator(slow, "a", "b"))
		for range 3 {
			c.trusts(t, "a")
			c.trusts(t, "b")
			settle(t, other)
		}
		calls = slow.calls
	})
	return calls
}

func (c *cluster) loseKey(t *testing.T) {
	t.Helper()
	resource := c.client(nil).Resource(secrets).Namespace("chartseal")
	object, err := resource.Get(t.Context(), "certs", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	unstructured.RemoveNestedField(object.Object, "data", "ca.key")
	if _, err := resource.Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// midnight is when time begins in a bubble of synctest.
var midnight = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// TestReplicas lets three replicas run for some CAs' lives. After each write of
// any of them what is served verifies against what every Provider has, and
// there is one CA for each rotation.
func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(newProvider("a", providerURL), newProvider("b", providerURL))
		short := policy
		short.CA, short.Serving = 30*day, 4*day
		begun, cas := false, map[string]bool{}
		c.written = func() {
			data := c.secret(t)
			cas[string(data["ca.crt"])] = true
			if begun = begun || string(c.bundle(t, "b")) != "placeholder"; begun {
				c.trusts(t, "a")
				c.trusts(t, "b")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 61*day)
		defer cancel()
		var replicas sync.WaitGroup
		for range 3 {
			r := rotator(c.client(nil), "a", "b")
			r.Policy = short
			replicas.Go(func() { r.Run(ctx, 6*time.Hour) })
		}
		replicas.Wait()
		if len(cas) != 4 {
			t.Errorf("%d CAs in three rotations", len(cas)-1)
		}
	})
}

// TestProviderThatCannotBeWritten: others are, and the next CA is not used.
func TestProviderThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(newProvider("a", providerURL), newProvider("b", providerURL))
		settle(t, rotator(c.client(nil)))
		time.Sleep(7 * year)
		ca := c.secret(t)["ca.crt"]
		denied := rotator(denying{c.client(nil), "a"})
		for range 3 {
			if _, err := denied.Settle(t.Context()); err == nil || !strings.Contains(err.Error(), `caBundle of Provider "a"`) {
				t.Fatalf("a Provider that cannot be written: %v", err)
			}
			time.Sleep(policy.Propagation)
		}
		if count(c.bundle(t, "b")) != 2 || string(c.secret(t)["ca.crt"]) != string(ca) {
			t.Error("the other Provider is not written, or the CA is used")
		}
		c.trusts(t, "a")
		settle(t, rotator(c.client(nil)))
		time.Sleep(policy.Propagation)
		if settle(t, rotator(c.client(nil))); string(c.secret(t)["ca.crt"]) == string(ca) {
			t.Error("the CA is not used once it may be")
		}
		c.trusts(t, "a")
	})
}

// denying refuses to patch one object.
type denying struct {
	*client
	name string
}

func (d denying) Resource(gvr schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return deniedObjects{d.client.Resource(gvr), d.name}
}

type deniedObjects struct {
	dynamic.NamespaceableResourceInterface
	name string
}

func (d deniedObjects) Patch(ctx context.Context, name string, kind types.PatchType, raw []byte, opts metav1.PatchOptions, sub ...string) (*unstructured.Unstructured, error) {
	if name == d.name {
		return nil, apierrors.NewForbidden(providers.GroupResource(), name, fmt.Errorf("not yours"))
	}
	return d.NamespaceableResourceInterface.Patch(ctx, name, kind, raw, opts, sub...)
}
