// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"context"
	"encoding/base64"
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
	gatortest "github.com/open-policy-agent/gatekeeper/v3/pkg/gator/test"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/target"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/util"
	admissionv1 "k8s.io/api/admission/v1"
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
// for it last: first gatorHere or newGatekeeper, then all that is to be judged
// so. None of these tests is parallel.

// gatorHere prepares this process as the command chartseal-gator does.
func (w *world) gatorHere() {
	w.t.Helper()
	c, err := config.Load(w.path)
	succeeds(w.t, err)
	succeeds(w.t, external.Answer(c, slog.New(slog.DiscardHandler), w.here))
}

// inGator judges the sample as `chartseal-gator test` does, which reviews all
// that it is given.
func inGator(t testing.TB, s *sample) (found []finding) {
	t.Helper()
	objects := append([]*unstructured.Unstructured{s.template, s.constraint, s.object}, s.inventory...)
	responses, err := gatortest.Test(objects, gatortest.WithK8sCEL(false), asDeployed)
	succeeds(t, err)
	for _, r := range responses.Results() {
		if r.ViolatingObject == s.object {
			found = append(found, findingOf(&r.Result))
		}
	}
	return found
}

// asDeployed takes away the functions that this process has and neither gator
// nor Gatekeeper.
func asDeployed() ([]constraint.Opt, []driver.Arg, error) {
	return nil, []driver.Arg{driver.DisableBuiltins(ours()...)}, nil
}

var _ gator.Opt = asDeployed

func ours() (names []string) {
	for _, b := range all.Builtins {
		names = append(names, b.Name, b.Name+"_report")
	}
	return names
}

func findingOf(r *types.Result) finding {
	return finding{r.EnforcementAction, r.Msg, r.Metadata["details"]}
}

// A gatekeeper makes clients as Gatekeeper's webhook has them, which ask one
// provider, and show it the webhook's certificate.
type gatekeeper struct {
	args   []driver.Arg
	scheme *runtime.Scheme
}

// newGatekeeper asks the provider at url, which has timeout seconds.
func newGatekeeper(t testing.TB, url string, timeout int) *gatekeeper {
	t.Helper()
	cache := externaldata.NewCache()
	succeeds(t, cache.Upsert(&unversioned.Provider{
		ObjectMeta: metav1.ObjectMeta{Name: "chartseal"},
		Spec:       unversioned.ProviderSpec{URL: url, Timeout: timeout, CABundle: base64.StdEncoding.EncodeToString(providers.PEM())},
	}))
	g := &gatekeeper{scheme: runtime.NewScheme(), args: []driver.Arg{
		driver.AddExternalDataProviderCache(cache), driver.DisableBuiltins(ours()...),
		driver.EnableExternalDataClientAuth(), driver.AddExternalDataClientCertWatcher(shown(t)),
	}}
	succeeds(t, apis.AddToScheme(g.scheme))
	return g
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

// judges has the sample created in a cluster where all else is.
func (g *gatekeeper) judges(t testing.TB, s *sample) (found []finding) {
	t.Helper()
	d, err := driver.New(g.args...)
	succeeds(t, err)
	client, err := constraint.NewClient(constraint.Targets(&target.K8sValidationTarget{}), constraint.Driver(d), constraint.EnforcementPoints(util.WebhookEnforcementPoint))
	succeeds(t, err)
	template, err := reader.ToTemplate(g.scheme, s.template)
	succeeds(t, err)
	_, err = client.AddTemplate(t.Context(), template)
	succeeds(t, err)
	_, err = client.AddConstraint(t.Context(), s.constraint)
	succeeds(t, err)
	for _, other := range s.inventory {
		_, err = client.AddData(t.Context(), other)
		succeeds(t, err)
	}
	responses, err := client.Review(t.Context(), creation(t, s.object), reviews.EnforcementPoint(util.WebhookEnforcementPoint))
	succeeds(t, err)
	for _, r := range responses.Results() {
		found = append(found, findingOf(r))
	}
	return found
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
		review.Namespace = namespace(name)
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
