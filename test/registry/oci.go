// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// oci is the honest registry. It follows the distribution specification and
// stores whatever manifest it is given, so that wrong ones can be served.
type oci struct {
	referrersAPI bool

	mu        sync.Mutex
	manifests map[string]map[string]manifest // repository → digest
	tags      map[string]map[string]string   // repository → tag → digest
	blobs     map[string]map[string][]byte   // repository → digest
	uploads   map[string][]byte
	lastID    int
}

type manifest struct {
	mediaType string
	body      []byte
}

func newOCI() *oci {
	return &oci{
		manifests: map[string]map[string]manifest{},
		tags:      map[string]map[string]string{},
		blobs:     map[string]map[string][]byte{},
		uploads:   map[string][]byte{},
	}
}

var ociRoute = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs/uploads|blobs|tags|referrers)/([^/]*)$`)

func (o *oci) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	route := ociRoute.FindStringSubmatch(r.URL.Path)
	if route == nil {
		if r.URL.Path != "/v2" && r.URL.Path != "/v2/" {
			refuse(w, http.StatusNotFound, "UNSUPPORTED", "no such endpoint")
		}
		return
	}
	repo, name := route[1], route[3]
	switch method := r.Method; {
	case route[2] == "blobs/uploads":
		o.upload(w, r, repo, name)
	case route[2] == "tags" && name == "list" && method == http.MethodGet:
		o.listTags(w, r, repo)
	case route[2] == "referrers" && o.referrersAPI && method == http.MethodGet:
		o.listReferrers(w, r, repo, name)
	case route[2] == "manifests" && method == http.MethodPut:
		o.putManifest(w, r, repo, name)
	case route[2] == "manifests" && method == http.MethodDelete:
		o.deleteManifest(w, repo, name)
	case route[2] == "manifests" && (method == http.MethodGet || method == http.MethodHead):
		o.getManifest(w, r, repo, name)
	case route[2] == "blobs" && method == http.MethodDelete:
		o.deleteBlob(w, repo, name)
	case route[2] == "blobs" && (method == http.MethodGet || method == http.MethodHead):
		o.getBlob(w, r, repo, name)
	default:
		refuse(w, http.StatusNotFound, "UNSUPPORTED", "no such endpoint")
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`+"\n", code, message)
}

// digestOf is the OCI digest of b.
func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (o *oci) storeManifest(repo, tag, mediaType string, body []byte) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	digest := digestOf(body)
	put(o.manifests, repo, digest, manifest{mediaType, body})
	if tag != "" && tag != digest {
		put(o.tags, repo, tag, digest)
	}
	return digest
}

func (o *oci) storeBlob(repo string, blob []byte) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	digest := digestOf(blob)
	put(o.blobs, repo, digest, blob)
	return digest
}

func put[V any](m map[string]map[string]V, repo, name string, value V) {
	if m[repo] == nil {
		m[repo] = map[string]V{}
	}
	m[repo][name] = value
}

func (o *oci) find(repo, name string) (manifest, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if digest, ok := o.tags[repo][name]; ok {
		name = digest
	}
	m, ok := o.manifests[repo][name]
	return m, ok
}

func (o *oci) getManifest(w http.ResponseWriter, r *http.Request, repo, name string) {
	m, ok := o.find(repo, name)
	if !ok {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "no such manifest")
		return
	}
	serve(w, r, m.mediaType, m.body)
}

func (o *oci) getBlob(w http.ResponseWriter, r *http.Request, repo, digest string) {
	o.mu.Lock()
	blob, ok := o.blobs[repo][digest]
	o.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "no such blob")
		return
	}
	serve(w, r, "application/octet-stream", blob)
}

func serve(w http.ResponseWriter, r *http.Request, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", digestOf(body))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func (o *oci) putManifest(w http.ResponseWriter, r *http.Request, repo, name string) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !json.Valid(body) {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "manifest is not JSON")
		return
	}
	if strings.Contains(name, ":") && name != digestOf(body) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "manifest has another digest")
		return
	}
	digest := o.storeManifest(repo, name, r.Header.Get("Content-Type"), body)
	var about struct{ Subject *ocispec.Descriptor }
	if json.Unmarshal(body, &about) == nil && about.Subject != nil && o.referrersAPI {
		w.Header().Set("OCI-Subject", about.Subject.Digest.String())
	}
	created(w, "/v2/"+repo+"/manifests/"+digest, digest)
}

func created(w http.ResponseWriter, location, digest string) {
	w.Header().Set("Location", location)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

func (o *oci) deleteManifest(w http.ResponseWriter, repo, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, isTag := o.tags[repo][name]
	_, isDigest := o.manifests[repo][name]
	if !isTag && !isDigest {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "no such manifest")
		return
	}
	delete(o.manifests[repo], name)
	for tag, digest := range o.tags[repo] {
		if tag == name || digest == name {
			delete(o.tags[repo], tag)
		}
	}
	w.WriteHeader(http.StatusAccepted)
}

func (o *oci) deleteBlob(w http.ResponseWriter, repo, digest string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.blobs[repo][digest]; !ok {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "no such blob")
		return
	}
	delete(o.blobs[repo], digest)
	w.WriteHeader(http.StatusAccepted)
}

// upload is the pushing of a blob: POST opens a session (or, with a digest, is
// all of it), PATCH adds a chunk, PUT ends it.
func (o *oci) upload(w http.ResponseWriter, r *http.Request, repo, id string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "body was cut")
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	sofar, known := o.uploads[id]
	switch {
	case r.Method == http.MethodPost && r.URL.Query().Has("digest"):
		o.finish(w, repo, r.URL.Query().Get("digest"), body)
	case r.Method == http.MethodPost && o.mount(w, repo, r.URL.Query().Get("from"), r.URL.Query().Get("mount")):
	case r.Method == http.MethodPost:
		o.lastID++
		o.proceed(w, http.StatusAccepted, repo, strconv.Itoa(o.lastID), nil)
	case !known:
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
	case r.Method == http.MethodGet:
		o.proceed(w, http.StatusNoContent, repo, id, sofar)
	case r.Method == http.MethodPatch && !follows(r.Header.Get("Content-Range"), len(sofar)):
		refuse(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "chunk out of order")
	case r.Method == http.MethodPatch:
		o.proceed(w, http.StatusAccepted, repo, id, append(sofar, body...))
	case r.Method == http.MethodPut:
		delete(o.uploads, id)
		o.finish(w, repo, r.URL.Query().Get("digest"), append(sofar, body...))
	default:
		delete(o.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	}
}

func follows(contentRange string, have int) bool {
	start, _, _ := strings.Cut(contentRange, "-")
	return contentRange == "" || start == strconv.Itoa(have)
}

func (o *oci) mount(w http.ResponseWriter, repo, from, digest string) bool {
	blob, ok := o.blobs[from][digest]
	if ok {
		o.finish(w, repo, digest, blob)
	}
	return ok
}

func (o *oci) proceed(w http.ResponseWriter, status int, repo, id string, sofar []byte) {
	o.uploads[id] = sofar
	w.Header().Set("Location", "/v2/"+repo+"/blobs/uploads/"+id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(sofar)-1, 0)))
	w.WriteHeader(status)
}

func (o *oci) finish(w http.ResponseWriter, repo, digest string, blob []byte) {
	if digest != digestOf(blob) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "blob has another digest")
		return
	}
	put(o.blobs, repo, digest, blob)
	created(w, "/v2/"+repo+"/blobs/"+digest, digest)
}

func (o *oci) listTags(w http.ResponseWriter, r *http.Request, repo string) {
	o.mu.Lock()
	known := o.tags[repo]
	tags := make([]string, 0, len(known))
	for tag := range known {
		tags = append(tags, tag)
	}
	_, exists := o.manifests[repo]
	o.mu.Unlock()
	if !exists {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "no such repository")
		return
	}
	slices.Sort(tags)
	tags = slices.DeleteFunc(tags, func(tag string) bool { return tag <= r.URL.Query().Get("last") })
	if n, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil && 0 <= n && n < len(tags) {
		tags = tags[:n]
		if n > 0 {
			w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?n=%d&last=%s>; rel="next"`, repo, n, tags[n-1]))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": repo, "tags": tags})
}

func (o *oci) listReferrers(w http.ResponseWriter, r *http.Request, repo, subject string) {
	if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(subject) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "subject is not a digest")
		return
	}
	wanted := r.URL.Query().Get("artifactType")
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	index.SchemaVersion = 2
	for _, d := range o.referrersOf(repo, subject) {
		if wanted == "" || d.ArtifactType == wanted {
			index.Manifests = append(index.Manifests, d)
		}
	}
	if wanted != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
	_ = json.NewEncoder(w).Encode(index)
}

// referrersOf lists in order of digest, so that a registry's answers repeat.
func (o *oci) referrersOf(repo, subject string) []ocispec.Descriptor {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []ocispec.Descriptor
	for _, m := range o.manifests[repo] {
		var content struct {
			Subject      ocispec.Descriptor
			ArtifactType string
			Config       ocispec.Descriptor
			Annotations  map[string]string
		}
		if json.Unmarshal(m.body, &content) != nil || content.Subject.Digest.String() != subject {
			continue
		}
		d := descriptor(m.mediaType, m.body)
		d.Annotations, d.ArtifactType = content.Annotations, content.ArtifactType
		if d.ArtifactType == "" {
			d.ArtifactType = content.Config.MediaType
		}
		found = append(found, d)
	}
	slices.SortFunc(found, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return found
}
