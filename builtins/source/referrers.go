// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/chartseal/chartseal/builtins"
)

// A referrer is a manifest that names another one as its subject, as an index
// lists it.
type referrer struct {
	descriptor
	ArtifactType string `json:"artifactType"`
}

// mayBeBundle says whether the manifest is worth reading. Some list a referrer
// by the type of its empty config, among them cosign v2 in the fallback tag:
// then only the manifest itself tells what it is.
func (r referrer) mayBeBundle() bool {
	return strings.HasPrefix(r.ArtifactType, bundleType) || r.ArtifactType == emptyType || r.ArtifactType == ""
}

// referrers are what refers to a subject, by the place where they are listed.
type referrers struct {
	place string
	all   []referrer
}

// size is about what they take of memory.
func (r referrers) size() int {
	n := 0
	for _, one := range r.all {
		n += 128 + len(one.MediaType) + len(one.Digest) + len(one.ArtifactType)
	}
	return n
}

// listed gives what refers to the subject: by the API or, from a registry that
// does not have it, by the fallback tag. Neither there is none.
func (s *search) listed(ctx context.Context) (referrers, time.Time, error) {
	until, lacking := s.repo.withoutReferrers()
	if lacking {
		builtins.Until(ctx, until)
	} else {
		var all referrers
		var err error
		all, until, err = listed(ctx, s.repo, "referrers "+s.subject, referrers.size, s.list)
		if s.lacking = builtins.CodeOf(err) == builtins.NotFound; !s.lacking {
			return all, until, err
		}
	}
	all, known, err := s.fallback(ctx)
	if known.Before(until) {
		until = known
	}
	return all, until, err
}

// That a repository is without the API is a listing like others, and spares
// the next subject a request. It is remembered only after a subject that is
// there: of one that is not, some registries with the API say 404, and anybody
// can ask for it.
const noReferrers = "no referrers"

func (r *repository) withoutReferrers() (until time.Time, lacking bool) {
	found, _ := r.client.memory.Load(noReferrers, r.view)
	until, lacking = found.(time.Time)
	return until, lacking
}

func (r *repository) lacksReferrers() {
	life := r.client.config.Listings
	r.client.memory.StoreFor(noReferrers, r.view, r.client.config.Clock().Add(life), int64(len(r.view)), life)
}

func (s *search) list(ctx context.Context) (referrers, error) {
	all, err := s.pages(ctx)
	return referrers{"referrers", all}, err
}

// fallback is the list under the subject's digest as a tag. Somebody's own tag
// of that name is none.
func (s *search) fallback(ctx context.Context) (referrers, time.Time, error) {
	found := referrers{place: "fallback tag"}
	m, until, err := s.repo.tagged(ctx, s.tag())
	switch {
	case builtins.CodeOf(err) == builtins.NotFound:
		return found, until, nil
	case err != nil || !isIndex(m.mediaType):
		return found, until, err
	}
	found.all, err = s.parseIndex(m.raw, nil)
	return found, until, err
}

// pages reads the API's answer page by page. What is not a list of referrers
// is no answer: not even that there are none.
func (s *search) pages(ctx context.Context) ([]referrer, error) {
	var all []referrer
	next := s.repo.base.JoinPath("v2", s.repo.path, "referrers", s.subject)
	for page := int64(0); next != nil; page++ {
		if page == s.limits().Pages {
			return nil, builtins.Errorf(builtins.TooMany, "referrers are listed on more than %d pages", page)
		}
		raw, after, err := s.page(ctx, next)
		if err != nil {
			if page > 0 {
				err = listedAndGone(err)
			}
			return nil, err
		}
		if all, err = s.parseIndex(raw, all); err != nil {
			return nil, err
		}
		next = after
	}
	return all, nil
}

func (s *search) page(ctx context.Context, at *url.URL) (raw []byte, next *url.URL, err error) {
	resp, err := s.repo.getURL(ctx, "referrers", at, ociIndex)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); !isIndex(kind) {
		return nil, nil, builtins.Errorf(builtins.Unavailable, "referrers came as %q, want %s", builtins.Clip(kind), ociIndex)
	}
	if raw, err = readDocument(resp, s.limits().Manifest); err != nil {
		return nil, nil, err
	}
	next, err = s.nextPage(at, resp.Header)
	return raw, next, err
}

// nextPage is where the Link header leads, which is nowhere but the registry itself.
func (s *search) nextPage(at *url.URL, header http.Header) (*url.URL, error) {
	for _, link := range strings.Split(strings.Join(header.Values("Link"), ","), ",") {
		target, params, _ := strings.Cut(strings.TrimSpace(link), ">")
		target, isLink := strings.CutPrefix(target, "<")
		if !isLink || !strings.Contains(strings.ReplaceAll(params, `"`, ""), "rel=next") {
			continue
		}
		next, err := at.Parse(target)
		if err != nil {
			return nil, builtins.Errorf(builtins.Unavailable, "next page of referrers: %q is no URL", builtins.Clip(target))
		}
		if origin(next) != s.repo.home {
			return nil, builtins.Errorf(builtins.SourceDenied, "next page of referrers is at %s, which is not the registry", show(next))
		}
		return next, nil
	}
	return nil, nil
}

func (s *search) parseIndex(raw []byte, all []referrer) ([]referrer, error) {
	var index struct {
		Manifests []referrer `json:"manifests"`
	}
	if err := decodeOnce(raw, &index); err != nil {
		return nil, malformed("list of referrers", err)
	}
	all = append(all, index.Manifests...)
	if limit := s.limits().Signatures; int64(len(all)) > limit {
		return nil, builtins.Errorf(builtins.TooMany, "more than %d referrers", limit)
	}
	for _, r := range index.Manifests {
		if err := r.check(); err != nil {
			return nil, builtins.Errorf(builtins.MalformedBundle, "list of referrers: %w", err)
		}
	}
	return all, nil
}
