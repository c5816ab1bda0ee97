// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"testing"

	"github.com/open-policy-agent/frameworks/constraint/pkg/apis"
	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/externaldata/unversioned"
	constraint "github.com/open-policy-agent/frameworks/constraint/pkg/client"
	driver "github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/reviews"
	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
	"github.com/open-policy-agent/frameworks/constraint/pkg/types"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/gator"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/gator/reader"
	mutation "github.com/open-policy-agent/gatekeeper/v3/pkg/mutation/types"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/target"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/util"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/chartseal/chartseal/builtins/all"
	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/cmd/chartseal-gator/external"
	"github.com/chartseal/chartseal/provider"
)

// The function external_data is the whole process's and belongs to who asked
// for it last: gatorHere or newGatekeeper, and then all that is to be judged so.
// None of these tests is parallel.

// gatorHere prepares this process as the command chartseal-gator does.
func (w *world) gatorHere() {
	w.t.Helper()
	c, err := config.Load(w.path)
	succeeds(w.t, err)
	succeeds(w.t, external.Answer(c, slog.New(slog.DiscardHandler), w.here))
}

// asDeployed takes away the functions that this process has and neither gator
// nor Gatekeeper.
func asDeployed() ([]constraint.Opt, []driver.Arg, error) {
	return nil, []driver.Arg{driver.DisableBuiltins(ours()...)}, nil
}

func ours() (names []string) {
	for _, b := range all.Builtins {
		names = append(names, b.Name, b.Name+"_report")
	}
	return names
}

// A cluster has all templates that were ever asked for, since it takes time to
// compile one; constraints and objects come and go.
type cluster struct {
	*constraint.Client
	scheme *runtime.Scheme
	point  string                              // of enforcement
	known  map[*unstructured.Unstructured]bool // templates
	gone   []func() error
}

func newCluster(t testing.TB, client *constraint.Client, point string) *cluster {
	t.Helper()
	c := &cluster{Client: client, scheme: runtime.NewScheme(), point: point, known: map[*unstructured.Unstructured]bool{}}
	succeeds(t, apis.AddToScheme(c.scheme))
	return c
}

// newGator is what the commands of gator make, in a process that gatorHere
// prepared.
func newGator(t testing.TB) *cluster {
	t.Helper()
	client, err := gator.NewOPAClient(false, gator.WithK8sCEL(), asDeployed)
	succeeds(t, err)
	return newCluster(t, client.(*constraint.Client), util.GatorEnforcementPoint)
}

// newGatekeeper is what Gatekeeper's webhook has. It asks the provider at url,
// which has timeout seconds, and shows it the webhook's certificate.
func newGatekeeper(t testing.TB, url string, timeout int) *cluster {
	t.Helper()
	cache := externaldata.NewCache()
	succeeds(t, cache.Upsert(&unversioned.Provider{
		ObjectMeta: metav1.ObjectMeta{Name: "chartseal"},
		Spec:       unversioned.ProviderSpec{URL: url, Timeout: timeout, CABundle: base64.StdEncoding.EncodeToString(providers.PEM())},
	}))
	d, err := driver.New(
		driver.AddExternalDataProviderCache(cache), driver.DisableBuiltins(ours()...),
		driver.EnableExternalDataClientAuth(), driver.AddExternalDataClientCertWatcher(shown(t)),
	)
	succeeds(t, err)
	client, err := constraint.NewClient(constraint.Targets(&target.K8sValidationTarget{}), constraint.Driver(d), constraint.EnforcementPoints(util.WebhookEnforcementPoint))
	succeeds(t, err)
	return newCluster(t, client, util.WebhookEnforcementPoint)
}

func (c *cluster) AddConstraint(ctx context.Context, u *unstructured.Unstructured) (*types.Responses, error) {
	c.gone = append(c.gone, func() error { _, err := c.RemoveConstraint(ctx, u); return err })
	return c.Client.AddConstraint(ctx, u)
}

func (c *cluster) AddData(ctx context.Context, data any) (*types.Responses, error) {
	c.gone = append(c.gone, func() error { _, err := c.RemoveData(ctx, data); return err })
	return c.Client.AddData(ctx, data)
}

// empty takes away what was added, templates aside.
func (c *cluster) empty() (err error) {
	for _, remove := range c.gone {
		err = errors.Join(err, remove())
	}
	c.gone = nil
	return err
}

// judge reviews the sample where its template, its constraint and its inventory
// are.
func (c *cluster) judge(t testing.TB, s *sample) (found []finding) {
	t.Helper()
	succeeds(t, c.empty())
	c.learn(t, s.template)
	_, err := c.AddConstraint(t.Context(), s.constraint)
	succeeds(t, err)
	for _, other := range s.inventory {
		_, err = c.AddData(t.Context(), other)
		succeeds(t, err)
	}
	responses, err := c.Review(t.Context(), c.review(t, s), reviews.EnforcementPoint(c.point))
	succeeds(t, err)
	for _, r := range responses.Results() {
		found = append(found, finding{r.EnforcementAction, r.Msg, r.Metadata["details"]})
	}
	return found
}

func (c *cluster) learn(t testing.TB, u *unstructured.Unstructured) {
	t.Helper()
	if c.known[u] {
		return
	}
	template, err := reader.ToTemplate(c.scheme, u)
	succeeds(t, err)
	_, err = c.AddTemplate(t.Context(), template)
	succeeds(t, err)
	c.known[u] = true
}

// review is what gator verify asks for, or the webhook.
func (c *cluster) review(t testing.TB, s *sample) any {
	t.Helper()
	if c.point == util.GatorEnforcementPoint {
		return target.AugmentedUnstructured{Object: *s.object, Source: mutation.SourceTypeOriginal}
	}
	review := creation(t, s.object)
	for _, other := range s.inventory {
		if other.GetKind() == "Namespace" && other.GetName() == s.object.GetNamespace() {
			review.Namespace = new(corev1.Namespace)
			succeeds(t, runtime.DefaultUnstructuredConverter.FromUnstructured(other.Object, review.Namespace))
		}
	}
	return review
}

// shown is the certificate that Gatekeeper shows, in files as it has it.
func shown(t testing.TB) *certwatcher.CertWatcher {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, cert, webhook.Certificate)
	write(t, key, webhook.Key)
	watcher, err := certwatcher.New(cert, key)
	succeeds(t, err)
	return watcher
}

// creation is what the API server asks when an object is created.
func creation(t testing.TB, object *unstructured.Unstructured) *target.AugmentedReview {
	t.Helper()
	raw, err := object.MarshalJSON()
	succeeds(t, err)
	kind := object.GroupVersionKind()
	review := &target.AugmentedReview{IsAdmission: true, AdmissionRequest: &admissionv1.AdmissionRequest{
		Kind: metav1.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind},
		Name: object.GetName(), Namespace: object.GetNamespace(), Operation: admissionv1.Create,
		Object: runtime.RawExtension{Raw: raw},
	}}
	if name := object.GetNamespace(); name != "" {
		review.Namespace = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	return review
}

func serveUntilEnd(t testing.TB, server *provider.Server, listener net.Listener) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, listener, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
