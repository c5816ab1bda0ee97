// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
	"go.yaml.in/yaml/v3"
)

// An index may have 32 MiB, of which one entry is wanted. YAML parsers build
// all of it in memory, at a few megabytes a second; so the text is first cut
// by its indentation into charts and their entries, and only entries that can
// be the wanted one are parsed. That fits the block style in which every tool
// writes an index; JSON is cut by its own syntax. Where that comes to a line or
// an entry that it cannot read, the index is parsed whole, if it is small.

// wholeFactor is how many times as large as an entry an index may be that is
// parsed whole.
const wholeFactor = 4

// findEntry is the one entry of an index for exactly this version of a chart.
// None is NotFound. MalformedIndex is everything that cannot be read in one
// way: no index at all, a chart listed twice, two entries of the version that
// differ, an entry without URL or with a digest that is none. An entry over
// limit bytes is TooLarge, an index of too many parts TooMany. What other
// entries say does not matter.
func findEntry(ctx context.Context, raw []byte, name, version string, limit int64) (entry, error) {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	l := &lookup{ctx: ctx, name: name, version: version, limit: limit}
	err := l.cut(raw)
	if l.unsure(raw, err) && int64(len(raw)) <= wholeFactor*limit {
		l.found = nil
		err = l.whole(raw)
	}
	switch {
	case ctx.Err() != nil: // then it may have been cut short
		return entry{}, builtins.Errorf(builtins.Timeout, "reading the index: %w", ctx.Err())
	case decided(err):
		return entry{}, err
	case err != nil:
		return entry{}, builtins.Errorf(builtins.MalformedIndex, "index: %w", err)
	case l.found == nil:
		return entry{}, builtins.Errorf(builtins.NotFound, "the index has no version %s of %s", version, name)
	}
	return *l.found, nil
}

func decided(err error) bool {
	var coded *builtins.Error
	return errors.As(err, &coded)
}

// A lookup is the search for one version of a chart.
type lookup struct {
	ctx           context.Context
	name, version string
	limit         int64 // bytes of an entry
	found         *entry
}

func (l *lookup) cut(raw []byte) error {
	if bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		return l.json(raw)
	}
	for item, err := range cutYAML(l.ctx, raw, l.name) {
		if err == nil {
			err = l.item(item, l.yamlText)
		}
		if err == nil {
			err = l.ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unsure says whether the cut may have missed something: a quoted text can look
// like the next key.
func (l *lookup) unsure(raw []byte, err error) bool {
	if err != nil {
		return !decided(err)
	}
	return l.found == nil && bytes.Contains(raw, l.core())
}

// core is what of the version is in the text of any entry for it: some encoders
// escape a plus.
func (l *lookup) core() []byte {
	core, _, _ := strings.Cut(l.version, "+")
	return []byte(core)
}

// item reads the text of an entry if that can be the wanted one.
func (l *lookup) item(text []byte, read func([]byte) error) error {
	if !bytes.Contains(text, l.core()) {
		return nil
	}
	if int64(len(text)) > l.limit {
		return tooLarge("an entry of the index", l.limit)
	}
	return read(text)
}

// add takes an entry of the version. One that is listed again as it is already
// is the same one.
func (l *lookup) add(location, digest string) error {
	e, err := newEntry(location, digest)
	if err != nil {
		return fmt.Errorf("entry of version %s: %w", l.version, err)
	}
	if l.found != nil && *l.found != e {
		return fmt.Errorf("it has entries for version %s of %s that differ", l.version, l.name)
	}
	l.found = &e
	return nil
}

// newEntry takes a digest in either case, as Helm does, which never reads it.
func newEntry(location, digest string) (entry, error) {
	if location == "" {
		return entry{}, errors.New("it has no URL")
	}
	if digest == "" {
		return entry{location: location}, nil
	}
	full := "sha256:" + strings.ToLower(strings.TrimPrefix(digest, "sha256:"))
	if !isDigest(full) {
		return entry{}, fmt.Errorf("its digest %q is not 64 hexadecimal digits", builtins.Clip(digest))
	}
	return entry{location: location, digest: full}, nil
}

// cutYAML reads block style: the key entries at the margin, below it a key for
// each chart, below that a list of entries.
func cutYAML(ctx context.Context, raw []byte, name string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		top, err := pick(ctx, document(ctx, raw), "apiVersion", "entries")
		if _, ok := top["apiVersion"]; err == nil && !ok {
			err = errors.New("it has no apiVersion")
		}
		var chart member
		if err == nil {
			chart, err = yamlChart(ctx, top["entries"], name)
		}
		switch {
		case err != nil:
			yield(nil, err)
		case chart.block(ctx):
			yamlItems(ctx, chart.below, yield)
		default:
			yield(chart.value(), nil)
		}
	}
}

// yamlChart is the member of entries for a chart, empty if there is none.
func yamlChart(ctx context.Context, entries member, name string) (member, error) {
	if !entries.block(ctx) {
		return member{}, errors.New("its entries are not in block style")
	}
	charts, err := pick(ctx, entries.below, name)
	return charts[name], err
}

// yamlItems yields the items of a block list, each as a list of one.
func yamlItems(ctx context.Context, raw []byte, yield func([]byte, error) bool) {
	indent, start := indentOf(ctx, raw), 0
	for l := range lines(ctx, raw) {
		if blank(l.text) || l.indent > indent {
			continue
		}
		if l.indent < indent || !dash(l.text) {
			yield(nil, errors.New("the entries of a chart are not a list"))
			return
		}
		if l.at > start && !yield(raw[start:l.at], nil) {
			return
		}
		start = l.at
	}
	yield(raw[start:], nil)
}

// pick cuts a block mapping and gives those members that have one of the names.
func pick(ctx context.Context, raw []byte, names ...string) (map[string]member, error) {
	found := map[string]member{}
	for m, err := range yamlMembers(ctx, raw) {
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, string(m.key)) {
			continue
		}
		if _, twice := found[string(m.key)]; twice {
			return nil, fmt.Errorf("it has the key %q twice", m.key)
		}
		found[string(m.key)] = m
	}
	return found, nil
}

// A member is a key of a block mapping with what belongs to it: the rest of
// its line, and the lines below until the next key.
type member struct{ key, inline, below []byte }

func (m member) block(ctx context.Context) bool {
	return blank(m.inline) && indentOf(ctx, m.below) >= 0
}

func (m member) value() []byte { return slices.Concat(m.inline, []byte("\n"), m.below) }

// yamlMembers yields the members of a block mapping in order.
func yamlMembers(ctx context.Context, raw []byte) iter.Seq2[member, error] {
	return func(yield func(member, error) bool) {
		indent, start := indentOf(ctx, raw), -1
		var current member
		for l := range lines(ctx, raw) {
			if blank(l.text) || l.indent > indent || (start >= 0 && l.indent == indent && dash(l.text)) {
				continue
			}
			if current.below = raw[max(start, 0):l.at]; start >= 0 && !yield(current, nil) {
				return
			}
			var err error
			if current, err = yamlKey(l.text); err == nil && l.indent < indent {
				err = errors.New("a key is further out than those before it")
			}
			if err != nil {
				yield(member{}, err)
				return
			}
			start = l.end
		}
		if start >= 0 {
			current.below = raw[start:]
			yield(current, nil)
		}
	}
}

// yamlKey splits a line into key and rest. Keys that need more than their
// line, or that stand for something else, are refused.
func yamlKey(text []byte) (member, error) {
	if bytes.IndexByte([]byte("?&*!|>%@`{[<-"), text[0]) >= 0 {
		return member{}, fmt.Errorf("a line begins with %q where a key was expected", text[0])
	}
	if text[0] == '"' || text[0] == '\'' {
		return quotedKey(text)
	}
	if key, ok := bytes.CutSuffix(text, []byte(":")); ok {
		return member{key: bytes.TrimRight(key, " \t")}, nil
	}
	key, rest, ok := bytes.Cut(text, []byte(": "))
	if !ok {
		return member{}, fmt.Errorf("a line is no key: %q", builtins.Clip(string(text[:min(len(text), maxKey)])))
	}
	return member{key: bytes.TrimRight(key, " \t"), inline: rest}, nil
}

// maxKey bounds a quoted key, which a parser gets to see.
const maxKey = 1 << 10

func quotedKey(text []byte) (member, error) {
	end := bytes.Index(text[1:min(len(text), maxKey)], []byte{text[0], ':'})
	if end < 0 {
		return member{}, errors.New("a quoted key has no end")
	}
	var key string
	if err := yaml.Unmarshal(text[:end+2], &key); err != nil { // of at most maxKey bytes
		return member{}, errors.New("a quoted key cannot be read")
	}
	return member{key: []byte(key), inline: text[end+3:]}, nil
}

// A line is the text of one, without the blanks around it.
type line struct {
	at, end int // where it begins and where the next one does
	indent  int
	text    []byte
}

// lines ends early when ctx does.
func lines(ctx context.Context, raw []byte) iter.Seq[line] {
	return func(yield func(line) bool) {
		at, n := 0, 0
		for whole := range bytes.Lines(raw) {
			text := bytes.TrimLeft(whole, " ")
			l := line{at: at, end: at + len(whole), indent: len(whole) - len(text), text: bytes.TrimRight(text, " \t\r\n")}
			if !yield(l) {
				return
			}
			if n++; n%1024 == 0 && ctx.Err() != nil {
				return
			}
			at = l.end
		}
	}
}

// blank lines and comments belong to nothing.
func blank(text []byte) bool {
	text = bytes.TrimLeft(text, " \t")
	return len(text) == 0 || text[0] == '#'
}

// dash begins an item of a list.
func dash(text []byte) bool { return text[0] == '-' && (len(text) == 1 || text[1] == ' ') }

// indentOf is how far in the first line is, -1 if there is none.
func indentOf(ctx context.Context, raw []byte) int {
	for l := range lines(ctx, raw) {
		if !blank(l.text) {
			return l.indent
		}
	}
	return -1
}

// document is raw without the lines that may begin and end a document.
func document(ctx context.Context, raw []byte) []byte {
	raw = bytes.TrimSuffix(bytes.TrimRight(raw, " \r\n"), []byte("\n..."))
	for l := range lines(ctx, raw) {
		if blank(l.text) {
			continue
		}
		if after, ok := bytes.CutPrefix(l.text, []byte("---")); ok && l.indent == 0 && blank(after) {
			return raw[l.end:]
		}
		break
	}
	return raw
}
