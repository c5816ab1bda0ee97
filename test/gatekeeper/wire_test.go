// SPDX-License-Identifier: Apache-2.0

package gatekeeper

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what the provider answers into the cases of testdata/wire")

// TestWire holds the provider's answers against files, byte for byte. Each has
// a request and the response as they go over the wire, headers aside: a line,
// an empty line, a body. The request's body is a template, in which repeat
// makes much of little. What Gatekeeper itself could ask, its own code asks too.
func TestWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	cases, err := filepath.Glob("testdata/wire/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	byGatekeeper := 0
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			c := readCase(t, path)
			status, body := c.send(t, w.url)
			got := fmt.Sprintf("%d\n\n%s", status, body)
			if *update {
				c.update(t, path, got)
			} else if diff := cmp.Diff(c.response, got); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if keys, ok := c.gatekeepers(t); ok {
				byGatekeeper++
				askedByGatekeeper(t, w, keys, status, body)
			}
		})
	}
	if byGatekeeper < 10 {
		t.Errorf("Gatekeeper's code asked %d of %d cases: its requests look different", byGatekeeper, len(cases))
	}
}

// A wireCase is a file of testdata/wire.
type wireCase struct {
	archive              *txtar.Archive
	method, target, body string
	response             string
}

func readCase(t *testing.T, path string) (c wireCase) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil || len(archive.Files) != 2 {
		t.Fatalf("want a request and a response: %v", err)
	}
	line, text, _ := strings.Cut(string(archive.Files[0].Data), "\n\n")
	c.archive, c.response = archive, string(archive.Files[1].Data)
	c.method, c.target, _ = strings.Cut(line, " ")
	c.body = expand(t, strings.TrimSuffix(text, "\n"))
	return c
}

func expand(t *testing.T, text string) string {
	t.Helper()
	parsed, err := template.New("body").Delims("<<", ">>").Funcs(template.FuncMap{"repeat": strings.Repeat, "numbered": numbered}).Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := parsed.Execute(&b, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// numbered is a list of text with % for the number, which begins with 0.
func numbered(text string, n int) string {
	var all []string
	for i := range n {
		all = append(all, strings.ReplaceAll(text, "%", strconv.Itoa(i)))
	}
	return strings.Join(all, ",")
}

func (c wireCase) send(t *testing.T, url string) (int, string) {
	t.Helper()
	return exchange(t, c.method, strings.TrimSuffix(url, "/v1/check")+c.target, strings.NewReader(c.body))
}

func exchange(t testing.TB, method, url string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	return res.StatusCode, string(answer)
}

func (c wireCase) update(t *testing.T, path, got string) {
	c.archive.Files[1].Data = []byte(got)
	write(t, path, txtar.Format(c.archive))
}

// gatekeepers are the keys of a request that Gatekeeper would write the same way.
func (c wireCase) gatekeepers(t *testing.T) ([]string, bool) {
	var request externaldata.ProviderRequest
	if c.method != http.MethodPost || c.target != "/v1/check" || json.Unmarshal([]byte(c.body), &request) != nil {
		return nil, false
	}
	again, err := json.Marshal(externaldata.NewProviderRequest(request.Request.Keys))
	if err != nil {
		t.Fatal(err)
	}
	return request.Request.Keys, string(again) == c.body
}

func askedByGatekeeper(t *testing.T, w *world, keys []string, status int, body string) {
	t.Helper()
	var want externaldata.ProviderResponse
	if err := json.NewDecoder(bytes.NewBufferString(body)).Decode(&want); err != nil {
		t.Fatal(err)
	}
	cert := webhook.TLS()
	got, gotStatus, err := externaldata.DefaultSendRequestToProvider(context.Background(), resource("wire", w.url, 30), keys, &cert)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" || gotStatus != status {
		t.Errorf("Gatekeeper gets %d and (-want +got):\n%s", gotStatus, diff)
	}
}

// endless never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// S3: a body that never ends is read up to its limit.
func TestS3EndlessBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, endless{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := client(t).Do(req)
	if err != nil {
		return // cut, which is an answer too
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusRequestEntityTooLarge || err == nil && !bytes.Contains(body, []byte(`"items":[],"systemError":"body has more than 1048576 bytes"`)) {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
}
