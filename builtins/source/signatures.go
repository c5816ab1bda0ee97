// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// The media types of stored signatures. That of bundles ends in a version.
const (
	bundleType        = "application/vnd.dev.sigstore.bundle"
	simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
	emptyType         = "application/vnd.oci.empty.v1+json"
)

// parallel is how many requests one look for signatures has under way.
const parallel = 16

// Signed looks for bundles among the referrers and for the .sig tag, and
// meanwhile finds out the chart's name. It takes at most three round trips:
// listings and name, manifests, blobs.
//
// What lies elsewhere is never fresh: each caller is to be asked whether the
// place may be contacted.
func (a *ociChart) Signed(ctx context.Context, elsewhere chartref.Ref) builtins.Signed {
	var signed builtins.Signed
	repo, err := a.repo, error(nil)
	if elsewhere.Host != "" {
		repo, err = a.repo.client.repository(ctx, elsewhere.Host, elsewhere.OCIPath)
	}
	if err != nil {
		signed.Places = []builtins.SignaturePlace{{Name: "signature repository", Err: err}}
		signed.Name, signed.Version, signed.Unnamed = a.name(ctx)
		return signed
	}
	found, looked := a.looked, a.looked != nil && elsewhere.Host == ""
	var all group
	if !looked {
		found = new(places)
		found.look(ctx, &all, repo, a.digest)
	}
	all.do(func() { signed.Name, signed.Version, signed.Unnamed = a.name(ctx) })
	all.wait()
	signed.Places = slices.Clone(found.list[:])
	repo.secrets().fromPlaces(signed.Places)
	if elsewhere.Host == "" {
		if found.search.lacking {
			repo.lacksReferrers()
		}
		signed.Fresh = slices.MinFunc(found.until[:], time.Time.Compare).Sub(repo.client.config.Clock())
	}
	return signed
}

// places are where signatures are kept, with what was found there and until
// when that is taken as current.
type places struct {
	search *search
	list   [2]builtins.SignaturePlace
	until  [2]time.Time
}

// look lets all look at the places. Each has its own half of what may be read,
// so that neither answer depends on the other.
func (p *places) look(ctx context.Context, all *group, repo *repository, subject string) {
	p.search = &search{repo: repo, subject: subject, bytes: repo.client.config.Limits.Signature / 2}
	all.do(func() { p.list[0], p.until[0] = p.search.bundles(ctx) })
	all.do(func() { p.list[1], p.until[1] = p.search.simpleSignings(ctx) })
}

// ResolveSigned is [Client.Resolve] for who will ask for signatures: where the
// reference has the digest that they are listed by, they are looked for at the
// same time, which saves a round trip. A chart that is not there ends the look.
func (c *Client) ResolveSigned(ctx context.Context, ref chartref.Ref) (builtins.Artifact, error) {
	oci, ok := ref.OCIRef()
	if ref.Err() != nil || !ok || oci.Tag != "" {
		return c.Resolve(ctx, ref)
	}
	repo, err := c.repository(ctx, oci.Host, oci.OCIPath)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var chart *ociChart
	var found places
	var all group
	found.look(ctx, &all, repo, oci.Digest)
	all.do(func() {
		if chart, err = repo.chartOf(ctx, oci); chart == nil {
			cancel()
		}
	})
	all.wait()
	if chart == nil {
		return nil, err
	}
	chart.looked = &found
	return chart.unlessNone()
}

// name is what the chart is called, from its config only if the annotations do
// not say.
func (a *ociChart) name(ctx context.Context) (name, version string, err error) {
	if a.notChart != nil || a.chart.name != "" && a.chart.version != "" {
		return a.chart.name, a.chart.version, a.notChart
	}
	raw, err := a.Config(ctx)
	if err != nil {
		return "", "", listedAndGone(err)
	}
	var config struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	if err := decodeOnce(raw, &config); err != nil {
		return "", "", builtins.Errorf(builtins.MalformedChart, "registry config %s: %w", a.chart.config.Digest, err)
	}
	return config.Name, config.Version, nil
}

// A search is one look for the signatures of a manifest.
type search struct {
	repo    *repository
	subject string // digest of the manifest
	bytes   int64  // that may be read of each place
	lacking bool   // the API said 404
}

func (s *search) limits() builtins.Limits { return s.repo.client.config.Limits }

// tag is the manifest's digest as a tag is written.
func (s *search) tag() string { return strings.Replace(s.subject, ":", "-", 1) }

// bundles are the sigstore bundles among the referrers, and until when these
// are taken as current.
func (s *search) bundles(ctx context.Context) (builtins.SignaturePlace, time.Time) {
	listed, until, err := s.listed(ctx)
	place := builtins.SignaturePlace{Name: cmp.Or(listed.place, "referrers"), Err: err}
	if err == nil {
		place.Signatures, place.Err = s.bundlesAmong(ctx, listed.all)
	}
	return place, until
}

func (s *search) bundlesAmong(ctx context.Context, listed []referrer) ([]builtins.StoredSignature, error) {
	var manifests []descriptor
	for _, r := range listed {
		if r.mayBeBundle() {
			manifests = append(manifests, r.descriptor)
		}
	}
	if err := s.afford(manifests); err != nil {
		return nil, err
	}
	blobs, errs := s.manifestsOf(ctx, manifests)
	if err := s.afford(blobs); err != nil {
		return nil, err
	}
	return s.read(ctx, blobs, errs, s.limits().Bundle, func(_ int, raw []byte) builtins.StoredSignature {
		return builtins.StoredSignature{Bundle: raw}
	}), nil
}

// afford refuses what exceeds the place's share of bytes before it is fetched.
func (s *search) afford(blobs []descriptor) error {
	left := s.bytes
	for _, d := range blobs {
		if left -= min(d.Size, s.bytes+1); left < 0 {
			return builtins.Errorf(builtins.TooLarge, "signatures take more than the %d bytes that are read of one place", s.bytes)
		}
	}
	return nil
}

// manifestsOf reads the manifests of referrers, for the one blob of each. A
// manifest that refers to something else or is no bundle is passed over, as if
// it had not been listed.
func (s *search) manifestsOf(ctx context.Context, manifests []descriptor) (blobs []descriptor, errs []error) {
	type answer struct {
		blob descriptor
		ours bool
		err  error
	}
	answers := make([]answer, len(manifests))
	s.each(len(manifests), func(i int) {
		m, err := s.repo.described(ctx, manifests[i], s.limits().Manifest)
		if err != nil {
			answers[i] = answer{blob: manifests[i], ours: true, err: listedAndGone(err)}
			return
		}
		answers[i].blob, answers[i].ours, answers[i].err = s.bundleOf(m)
		if answers[i].err == nil {
			s.repo.keep(m)
		}
	})
	for _, a := range answers {
		if a.ours {
			blobs, errs = append(blobs, a.blob), append(errs, a.err)
		}
	}
	return blobs, errs
}

// each calls do for 0 to n-1, several at once.
func (s *search) each(n int, do func(i int)) {
	var all group
	all.all.SetLimit(parallel)
	for i := range n {
		all.do(func() { do(i) })
	}
	all.wait()
}

// bundleOf is the layer of a manifest that is a bundle.
func (s *search) bundleOf(m manifest) (blob descriptor, ours bool, err error) {
	var content struct {
		ArtifactType string       `json:"artifactType"`
		Config       descriptor   `json:"config"`
		Subject      descriptor   `json:"subject"`
		Layers       []descriptor `json:"layers"`
	}
	if err = decodeSignature(m, &content); err != nil {
		return descriptor{Digest: m.digest}, true, err
	}
	kind := cmp.Or(content.ArtifactType, content.Config.MediaType)
	if content.Subject.Digest != s.subject || !strings.HasPrefix(kind, bundleType) {
		return descriptor{}, false, nil
	}
	if n := len(content.Layers); n != 1 || !strings.HasPrefix(content.Layers[0].MediaType, bundleType) {
		return descriptor{Digest: m.digest}, true, builtins.Errorf(builtins.MalformedBundle, "manifest %s has %d layers, want 1, a bundle", m.digest, n)
	}
	return content.Layers[0], true, malformedUnless(content.Layers[0].check())
}

// decodeSignature reads a manifest that stores signatures.
func decodeSignature(m manifest, into any) error {
	if err := checkType(m.mediaType); err != nil {
		return malformedUnless(err)
	}
	return malformedUnless(decodeOnce(m.raw, into))
}

func malformedUnless(err error) error {
	if err == nil {
		return nil
	}
	return malformed("manifest of signatures", err)
}

// malformed is what is wrong with JSON about signatures: too much of it, or
// what it says.
func malformed(what string, err error) error {
	code := builtins.MalformedBundle
	if builtins.CodeOf(err) == builtins.TooMany {
		code = builtins.TooMany
	}
	return builtins.Errorf(code, "%s: %w", what, err)
}

// listedAndGone keeps a registry that contradicts itself from looking like one
// that has no signature.
func listedAndGone(err error) error {
	if builtins.CodeOf(err) == builtins.NotFound {
		return builtins.Errorf(builtins.Unavailable, "listed and not there: %w", err)
	}
	return err
}

// simpleSignings are the layers of the .sig tag, and until when that is taken
// as current.
func (s *search) simpleSignings(ctx context.Context) (builtins.SignaturePlace, time.Time) {
	place := builtins.SignaturePlace{Name: ".sig tag"}
	m, until, err := s.repo.tagged(ctx, s.tag()+".sig")
	if err == nil {
		place.Signatures, err = s.layersOf(ctx, m)
	}
	if builtins.CodeOf(err) != builtins.NotFound {
		place.Err = err
	}
	return place, until
}

func (s *search) layersOf(ctx context.Context, m manifest) ([]builtins.StoredSignature, error) {
	var content struct {
		Layers []struct {
			descriptor
			Annotations annotations `json:"annotations"`
		} `json:"layers"`
	}
	if err := decodeSignature(m, &content); err != nil {
		return nil, err
	}
	if n, limit := len(content.Layers), s.limits().Signatures; int64(n) > limit {
		return nil, builtins.Errorf(builtins.TooMany, "%d signatures, at most %d are read", n, limit)
	}
	var blobs []descriptor
	var annotated []annotations
	for _, layer := range content.Layers {
		if layer.MediaType == simpleSigningType {
			blobs, annotated = append(blobs, layer.descriptor), append(annotated, layer.Annotations)
		}
	}
	if err := s.afford(blobs); err != nil {
		return nil, err
	}
	errs := make([]error, len(blobs))
	for i, blob := range blobs {
		errs[i] = malformedUnless(blob.check())
	}
	return s.read(ctx, blobs, errs, s.limits().Payload, func(i int, raw []byte) builtins.StoredSignature {
		return builtins.StoredSignature{Payload: raw, Annotations: annotated[i]}
	}), nil
}

// read fetches each blob once, and makes signatures of those that arrive.
func (s *search) read(ctx context.Context, blobs []descriptor, errs []error, limit int64, store func(i int, raw []byte) builtins.StoredSignature) []builtins.StoredSignature {
	var wanted []descriptor
	at := map[string]int{}
	for i, blob := range blobs {
		if _, twice := at[blob.Digest]; !twice && errs[i] == nil {
			at[blob.Digest] = len(wanted)
			wanted = append(wanted, blob)
		}
	}
	raws, failures := make([][]byte, len(wanted)), make([]error, len(wanted))
	s.each(len(wanted), func(i int) {
		raws[i], failures[i] = s.repo.small(ctx, wanted[i], limit)
	})
	signatures := make([]builtins.StoredSignature, len(blobs))
	for i, blob := range blobs {
		err := errs[i]
		if n, fetched := at[blob.Digest]; err == nil && fetched {
			err = listedAndGone(failures[n])
			signatures[i] = store(i, raws[n])
		}
		signatures[i].Digest, signatures[i].Err = blob.Digest, err
	}
	return signatures
}

// isIndex says whether a registry calls its answer a list of manifests.
func isIndex(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == ociIndex
}
