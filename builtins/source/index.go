// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
	"sigs.k8s.io/yaml"
)

// An index may have 32 MiB, of which one entry is wanted. YAML parsers build
// all of it in memory, at a few megabytes a second; so the text is first cut
// by its indentation into charts and their entries, and only entries that can
// be the wanted one are parsed. That fits the block style in which every
// tool writes an index; JSON is cut by its own syntax, and what is written
// otherwise is parsed whole if it is small.

// findEntry is the one entry of an index for exactly this version of a chart.
// None is NotFound. MalformedIndex is everything that cannot be read in one
// way: no index at all, a chart listed twice, two entries of the version, an
// entry without URL or with a digest that is none. An entry over limit bytes
// is TooLarge.
func findEntry(ctx context.Context, raw []byte, name, version string, limit int64) (entry, error) {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	cut, toJSON := cutYAML, yamlToJSON
	if bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		cut, toJSON = cutJSON, jsonToJSON
	}
	core, _, _ := strings.Cut(version, "+") // some encoders escape a plus
	var found []entry
	var failed error
	for item, err := range cut(ctx, raw, name, limit) {
		if err == nil && bytes.Contains(item, []byte(core)) {
			found, err = appendMatch(found, item, toJSON, version, limit)
		}
		if failed = err; failed != nil || ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil { // then it may have been cut short
		return entry{}, builtins.Errorf(builtins.Timeout, "reading the index: %w", ctx.Err())
	}
	if failed != nil {
		return entry{}, malformed(failed)
	}
	switch len(found) {
	case 0:
		return entry{}, builtins.Errorf(builtins.NotFound, "the index has no version %s of %s", version, name)
	case 1:
		return found[0], nil
	}
	return entry{}, malformed(fmt.Errorf("it has %d entries for version %s of %s", len(found), version, name))
}

func malformed(err error) error {
	var already *builtins.Error
	if errors.As(err, &already) {
		return already
	}
	return builtins.Errorf(builtins.MalformedIndex, "index: %w", err)
}

// appendMatch parses the entries in item and keeps those of the version.
func appendMatch(found []entry, item []byte, toJSON func([]byte) ([]byte, error), version string, limit int64) ([]entry, error) {
	if int64(len(item)) > limit {
		return nil, tooLarge("an entry of the index", limit)
	}
	parsed, err := toJSON(item)
	if err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	var entries []map[string]json.RawMessage
	if err := json.Unmarshal(parsed, &entries); err != nil {
		return nil, errors.New("entry is not an object")
	}
	for _, fields := range entries {
		var its string
		if json.Unmarshal(fields["version"], &its) != nil || its != version {
			continue
		}
		match, err := readEntry(fields)
		if err != nil {
			return nil, fmt.Errorf("entry of version %s: %w", version, err)
		}
		found = append(found, match)
	}
	return found, nil
}

// yamlToJSON refuses a key that is there twice.
func yamlToJSON(item []byte) ([]byte, error) {
	parsed, err := yaml.YAMLToJSONStrict(item)
	if err != nil {
		return nil, fmt.Errorf("not strict YAML: %w", err)
	}
	return parsed, nil
}

// jsonToJSON refuses the same. JSON is not left to a YAML parser, which does
// not know all of its escapes.
func jsonToJSON(item []byte) ([]byte, error) {
	var whole json.RawMessage
	return item, decodeOnce(item, &whole)
}

func readEntry(fields map[string]json.RawMessage) (entry, error) {
	var urls []string
	var digest string
	if json.Unmarshal(fields["urls"], &urls) != nil || len(urls) == 0 || urls[0] == "" {
		return entry{}, errors.New("it has no URL")
	}
	if raw, ok := fields["digest"]; ok && json.Unmarshal(raw, &digest) != nil {
		return entry{}, errors.New("its digest is no string")
	}
	if digest == "" {
		return entry{location: urls[0]}, nil
	}
	full := "sha256:" + strings.TrimPrefix(digest, "sha256:")
	if !isDigest(full) {
		return entry{}, fmt.Errorf("its digest %q is not 64 lower-case hexadecimal digits", builtins.Clip(digest))
	}
	return entry{location: urls[0], digest: full}, nil
}

// cutJSON yields the entries of one chart, each as a list of one, out of
// {"apiVersion": …, "entries": {"web": [{…}, …]}}.
func cutJSON(ctx context.Context, raw []byte, name string, _ int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		entries, err := jsonEntries(ctx, raw, name)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, e := range entries {
			if !yield(slices.Concat([]byte("["), e, []byte("]")), nil) {
				return
			}
		}
	}
}

func jsonEntries(ctx context.Context, raw []byte, name string) ([]json.RawMessage, error) {
	top, err := jsonMembers(ctx, raw, "apiVersion", "entries")
	if err != nil {
		return nil, err
	}
	if top["apiVersion"] == nil {
		return nil, errors.New("it has no apiVersion")
	}
	if top["entries"] == nil {
		return nil, nil
	}
	charts, err := jsonMembers(ctx, top["entries"], name)
	if err != nil || charts[name] == nil {
		return nil, err
	}
	var entries []json.RawMessage
	err = json.Unmarshal(charts[name], &entries)
	return entries, err
}

// jsonMembers gives those members of the object that raw is that have one of
// the names.
func jsonMembers(ctx context.Context, raw []byte, names ...string) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(&interruptible{ctx, bytes.NewReader(raw)})
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("there is no JSON object where one was expected")
	}
	found := map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		name := key.(string)
		if found[name] != nil {
			return nil, fmt.Errorf("it has the member %q twice", name)
		}
		if slices.Contains(names, name) {
			found[name] = value
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("the JSON is followed by more")
	}
	return found, nil
}

// An interruptible reader ends when ctx does.
type interruptible struct {
	ctx  context.Context
	from io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.from.Read(p)
}

// cutYAML reads block style: the key entries at the margin, below it a key for
// each chart, below that a list of entries.
func cutYAML(ctx context.Context, raw []byte, name string, limit int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		top, err := pick(ctx, afterMarker(ctx, raw), "apiVersion", "entries")
		if _, ok := top["apiVersion"]; err == nil && !ok {
			err = errors.New("it has no apiVersion")
		}
		var chart member
		if err == nil {
			chart, err = yamlChart(ctx, top["entries"], name, limit)
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
// Entries in another style, such as {}, are read whole.
func yamlChart(ctx context.Context, entries member, name string, limit int64) (member, error) {
	if entries.block(ctx) {
		charts, err := pick(ctx, entries.below, name)
		return charts[name], err
	}
	if size := len(entries.inline) + len(entries.below); int64(size) > limit {
		return member{}, fmt.Errorf("%d bytes of entries are not in block style", size)
	}
	parsed, err := yamlToJSON(entries.value())
	if err != nil {
		return member{}, err
	}
	var charts map[string]json.RawMessage
	if err := json.Unmarshal(parsed, &charts); err != nil {
		return member{}, errors.New("entries are not an object")
	}
	return member{inline: charts[name]}, nil
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
	if err := yaml.Unmarshal(text[:end+2], &key); err != nil {
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

// afterMarker is raw without the line that may begin a document.
func afterMarker(ctx context.Context, raw []byte) []byte {
	for l := range lines(ctx, raw) {
		if blank(l.text) {
			continue
		}
		if l.indent == 0 && string(l.text) == "---" {
			return raw[l.end:]
		}
		break
	}
	return raw
}
