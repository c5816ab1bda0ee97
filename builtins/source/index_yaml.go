// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
	"go.yaml.in/yaml/v3"
)

// maxMarks is how many marks of YAML's syntax are parsed at once. Each can
// stand for two nodes, of some 200 bytes.
const maxMarks = 250_000

// parseYAML gives the root of one document, nil for an empty one. The parser
// builds nodes as it reads, so that it ends when ctx does; aliases stay what
// they are.
func parseYAML(ctx context.Context, text []byte) (*yaml.Node, error) {
	if marks := countMarks(text); marks > maxMarks {
		return nil, builtins.Errorf(builtins.TooMany, "a part of the index has %d marks of YAML, at most %d are read", marks, maxMarks)
	}
	dec := yaml.NewDecoder(&interruptible{ctx: ctx, from: bytes.NewReader(text)})
	var first, more yaml.Node
	if err := dec.Decode(&first); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, errors.New("it is not YAML")
	}
	if err := dec.Decode(&more); err != io.EOF {
		return nil, errors.New("the YAML is followed by more")
	}
	return first.Content[0], nil
}

// countMarks is at least half the number of nodes that text can have. A colon
// or dash inside a word, as in a URL or a date, is no mark.
func countMarks(text []byte) (n int) {
	for i, c := range text {
		before, after := byte(' '), byte(' ')
		if i > 0 {
			before = text[i-1]
		}
		if i+1 < len(text) {
			after = text[i+1]
		}
		switch {
		case c == ',', c == '[', c == '{', c == '?',
			c == '-' && after <= ' ',
			c == ':' && (after <= ' ' || strings.IndexByte(",[]{}", after) >= 0 || strings.IndexByte(`"']}`, before) >= 0):
			n++
		}
	}
	return n
}

// whole reads an index as one document.
func (l *lookup) whole(raw []byte) error {
	root, err := parseYAML(l.ctx, raw)
	if err != nil {
		return err
	}
	top, err := membersOf(root, strings.EqualFold, "apiVersion", "entries")
	if err != nil {
		return err
	}
	if isNull(top["apiVersion"]) {
		return errors.New("it has no apiVersion")
	}
	charts, err := membersOf(top["entries"], sameName, l.name)
	if err != nil {
		return err
	}
	return l.yamlList(charts[l.name])
}

// yamlText reads a list of entries.
func (l *lookup) yamlText(text []byte) error {
	root, err := parseYAML(l.ctx, text)
	if err != nil {
		return err
	}
	return l.yamlList(root)
}

func (l *lookup) yamlList(list *yaml.Node) error {
	if list = target(list); isNull(list) {
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		return errors.New("the entries of a chart are not a list")
	}
	for _, item := range list.Content {
		if err := l.yamlEntry(target(item)); err != nil {
			return err
		}
	}
	return nil
}

func (l *lookup) yamlEntry(item *yaml.Node) error {
	if isNull(item) {
		return nil
	}
	if item.Kind != yaml.MappingNode {
		return errors.New("an entry is not an object")
	}
	if !l.inYAML(item) {
		return nil
	}
	fields, err := membersOf(item, strings.EqualFold, "version", "urls", "digest")
	if err != nil {
		return err
	}
	digest := target(fields["digest"])
	if !isNull(digest) && !isText(digest) {
		return errors.New("the digest of an entry is no string")
	}
	urls := target(fields["urls"])
	if isNull(urls) || urls.Kind != yaml.SequenceNode || len(urls.Content) == 0 || !isText(target(urls.Content[0])) {
		return errors.New("an entry has no URL")
	}
	return l.add(target(urls.Content[0]).Value, textOf(digest))
}

// inYAML says whether any reader could take the version for ours.
func (l *lookup) inYAML(item *yaml.Node) bool {
	for key, value := range pairs(item) {
		if value = target(value); strings.EqualFold(key.Value, "version") && isText(value) && value.Value == l.version {
			return true
		}
	}
	return false
}

func sameName(a, b string) bool { return a == b }

// membersOf gives the members of a mapping that have one of the names. One that
// is there twice, or under a name that is the same to some readers, is refused,
// and a merge that may bring one that is missing.
func membersOf(mapping *yaml.Node, same func(a, b string) bool, names ...string) (map[string]*yaml.Node, error) {
	if mapping = target(mapping); isNull(mapping) {
		return nil, nil
	}
	if mapping.Kind != yaml.MappingNode {
		return nil, errors.New("there is no mapping where one was expected")
	}
	found, merges := map[string]*yaml.Node{}, false
	for key, value := range pairs(mapping) {
		merges = merges || key.Tag == "!!merge"
		at := slices.IndexFunc(names, func(name string) bool { return same(name, key.Value) })
		if at < 0 {
			continue
		}
		if name := names[at]; key.Value != name || found[name] != nil {
			return nil, fmt.Errorf("it has the key %q twice, or as %q", name, builtins.Clip(key.Value))
		}
		found[names[at]] = value
	}
	if merges && len(found) < len(names) {
		return nil, errors.New("it merges what it does not say itself")
	}
	return found, nil
}

// pairs are the keys of a mapping, aliases followed, with their values.
func pairs(mapping *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for pair := range slices.Chunk(mapping.Content, 2) {
			if !yield(target(pair[0]), pair[1]) {
				return
			}
		}
	}
}

// target is what an alias stands for. No alias stands for another one.
func target(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n == nil || n.ShortTag() == "!!null" }

func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" }

func textOf(n *yaml.Node) string {
	if isNull(n) {
		return ""
	}
	return n.Value
}
