// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/chartseal/chartseal/builtins"
)

// maxItems is how many charts and entries an index of JSON may have: 32 bytes
// for each in the largest one.
const maxItems = 1 << 20

// json reads {"apiVersion": …, "entries": {"web": [{…}, …]}} value by value, of
// which only one is in memory at a time.
func (l *lookup) json(raw []byte) error {
	w := newJSONWalk(l.ctx, raw, wholeFactor*l.limit)
	seen := map[string]bool{}
	err := w.object(func(key string) error {
		for _, name := range []string{"apiVersion", "entries"} {
			if strings.EqualFold(key, name) && (key != name || seen[name]) {
				return fmt.Errorf("it has the member %s twice, or as %q", name, key)
			}
		}
		seen[key] = key == "apiVersion" || key == "entries"
		if key == "entries" {
			return l.jsonCharts(w)
		}
		return w.skip()
	})
	if err == nil && !seen["apiVersion"] {
		err = errors.New("it has no apiVersion")
	}
	if err != nil {
		return err
	}
	return w.end()
}

func (l *lookup) jsonCharts(w *jsonWalk) error {
	seen := false
	return w.object(func(chart string) error {
		if chart != l.name {
			return w.list(w.skip)
		}
		if seen {
			return fmt.Errorf("it has the chart %q twice", chart)
		}
		seen = true
		return w.list(func() error {
			var item json.RawMessage
			if err := w.value(&item); err != nil {
				return err
			}
			return l.item(item, l.jsonEntry)
		})
	})
}

// jsonEntry reads what may be an entry of the version.
func (l *lookup) jsonEntry(item []byte) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(item, &members) != nil {
		return errors.New("an entry is not an object")
	}
	if !l.inJSON(members) {
		return nil
	}
	var fields struct {
		Version string          `json:"version"`
		URLs    json.RawMessage `json:"urls"`
		Digest  json.RawMessage `json:"digest"`
	}
	if err := decodeOnce(item, &fields); err != nil {
		return err
	}
	var urls []string
	var digest string
	if json.Unmarshal(fields.URLs, &urls) != nil || len(urls) == 0 {
		return errors.New("an entry has no URL")
	}
	if fields.Digest != nil && json.Unmarshal(fields.Digest, &digest) != nil {
		return errors.New("the digest of an entry is no string")
	}
	return l.add(urls[0], digest)
}

// inJSON says whether any reader could take the version for ours.
func (l *lookup) inJSON(members map[string]json.RawMessage) bool {
	for name, raw := range members {
		var version string
		if strings.EqualFold(name, "version") && json.Unmarshal(raw, &version) == nil && version == l.version {
			return true
		}
	}
	return false
}

// A jsonWalk goes through a large JSON value, whose values at the bottom of
// the walk have at most limit bytes each.
type jsonWalk struct {
	dec   *json.Decoder
	in    *interruptible
	limit int64
	items int
}

func newJSONWalk(ctx context.Context, raw []byte, limit int64) *jsonWalk {
	in := &interruptible{ctx: ctx, from: bytes.NewReader(raw)}
	return &jsonWalk{dec: json.NewDecoder(in), in: in, limit: limit}
}

// step counts an item and lets its reader go on.
func (w *jsonWalk) step() error {
	if w.items++; w.items > maxItems {
		return builtins.Errorf(builtins.TooMany, "the index has more than %d charts and entries", maxItems)
	}
	w.in.until = w.dec.InputOffset() + w.limit
	if w.items%256 == 0 {
		return w.in.ctx.Err()
	}
	return nil
}

// object calls each for every member; each reads the value.
func (w *jsonWalk) object(each func(name string) error) error {
	return w.nested('{', '}', func() error {
		name, err := w.dec.Token()
		if err != nil {
			return err
		}
		return each(name.(string))
	})
}

// list calls each for every item. Null is an empty list.
func (w *jsonWalk) list(each func() error) error { return w.nested('[', ']', each) }

func (w *jsonWalk) nested(begin, end json.Delim, each func() error) error {
	if err := w.step(); err != nil {
		return err
	}
	tok, err := w.dec.Token()
	if err != nil || tok == nil {
		return err
	}
	if tok != begin {
		return fmt.Errorf("there is no %q where one was expected", begin)
	}
	for w.dec.More() {
		if err := w.step(); err != nil {
			return err
		}
		if err := each(); err != nil {
			return err
		}
	}
	_, err = w.dec.Token()
	return err
}

func (w *jsonWalk) value(into any) error { return w.dec.Decode(into) }

func (w *jsonWalk) skip() error { return w.value(new(skipped)) }

func (w *jsonWalk) end() error {
	if _, err := w.dec.Token(); err != io.EOF {
		return errors.New("the JSON is followed by more")
	}
	return nil
}

// skipped is a value that nobody looks at.
type skipped struct{}

func (*skipped) UnmarshalJSON([]byte) error { return nil }

// maxChunk is how much a parser may read before it is asked whether it is late.
const maxChunk = 16 << 10

// An interruptible reader ends when ctx does and, if until is set, there.
type interruptible struct {
	ctx       context.Context
	from      io.Reader
	at, until int64
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	if i.until > 0 && i.at >= i.until+maxChunk { // what is read ahead is not the value's
		return 0, tooLarge("a part of the index", i.until)
	}
	n, err := i.from.Read(p[:min(len(p), maxChunk)])
	i.at += int64(n)
	return n, err
}
