// SPDX-License-Identifier: Apache-2.0

// Package review judges the documents of files by policies, as the objects that
// they would be in a cluster.
package review

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	yamlv2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"

	"github.com/chartseal/chartseal/builtins"
)

// A Document is one object as it stands in a file: a Kubernetes object, an item
// of a list of them, or an admission review.
type Document struct {
	File   string
	Object map[string]any
	node   *yaml.Node // where it stands; nil if that is not known
}

// Documents gives what a file holds: of YAML all documents, of JSON all values,
// and of lists of objects the objects. A document that is empty is none. YAML is
// read as Kubernetes reads it, where yes is a boolean. What two readers could
// read differently is an error: a key that is there twice, a value that is no
// object, bytes that do not decode.
func Documents(file string, raw []byte) ([]Document, error) {
	read := yamlValues
	if strings.HasSuffix(file, ".json") {
		read = jsonValues
	}
	values, err := read(raw)
	if err != nil && bytes.Contains(raw, []byte("{{")) {
		return nil, fmt.Errorf("%s: %w; templates are no manifests, review what helm template makes of them", file, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", builtins.Printable(file), err)
	}
	nodes := nodesOf(raw, len(values))
	var all []Document
	for i, value := range values {
		documents, err := unpack(Document{File: file, node: nodes[i]}, value)
		if err != nil {
			return nil, fmt.Errorf("%s, document %d: %w", builtins.Printable(file), i+1, err)
		}
		all = append(all, documents...)
	}
	return all, nil
}

// unpack gives the objects of a list, and of lists within it, as kubectl does:
// whatever has items is a list to it, and what an item lacks of a kind it has of
// the list. To others only what is called a List is one, so the rest is given
// as itself, too.
func unpack(at Document, value any) (all []Document, err error) {
	if value == nil {
		return nil, nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("it is %s, want an object", shape(value))
	}
	at.Object = object
	items, listed := object["items"].([]any)
	kind, _ := object["kind"].(string)
	list := strings.HasSuffix(kind, "List")
	if !listed || !list {
		all = append(all, at)
	}
	if kind == "" || !list && slices.ContainsFunc(items, isNoObject) {
		return all, nil
	}
	for i, item := range items {
		if item == nil {
			return nil, fmt.Errorf("items[%d] is null, want an object", i)
		}
		within, err := unpack(Document{File: at.File, node: find(at.node, "items", strconv.Itoa(i))}, ofKind(item, object))
		if err != nil {
			return nil, fmt.Errorf("items[%d]: %w", i, err)
		}
		all = append(all, within...)
	}
	return all, nil
}

func isNoObject(value any) bool {
	_, ok := value.(map[string]any)
	return !ok
}

// ofKind is an item with the kind that it has by its list.
func ofKind(item any, list map[string]any) any {
	object, ok := item.(map[string]any)
	if !ok || object["kind"] != nil || object["apiVersion"] != nil {
		return item
	}
	object = maps.Clone(object)
	object["apiVersion"], object["kind"] = list["apiVersion"], strings.TrimSuffix(text(list["kind"]), "List")
	return object
}

func shape(value any) string {
	switch value.(type) {
	case []any:
		return "a list"
	case string:
		return "text"
	case bool:
		return "a boolean"
	}
	return "a number"
}

// jsonValues are the values of a JSON file, one after the other.
func jsonValues(raw []byte) (values []any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for {
		var one json.RawMessage
		switch err := decoder.Decode(&one); {
		case errors.Is(err, io.EOF):
			return values, nil
		case err != nil:
			return nil, err
		}
		if err := builtins.UniqueMembers(one); err != nil {
			return nil, err
		}
		var value any
		numbers := json.NewDecoder(bytes.NewReader(one))
		numbers.UseNumber()
		if err := numbers.Decode(&value); err != nil {
			return nil, err
		}
		values = append(values, value)
	}
}

// yamlValues are the documents of a YAML file. The second version of the
// library is what Kubernetes reads YAML with.
func yamlValues(raw []byte) (values []any, err error) {
	if err := SameDocuments(raw); err != nil {
		return nil, err
	}
	values, err = decoded(raw, true)
	if err != nil && overridesMerged(raw) {
		values, err = decoded(raw, false)
	}
	return values, err
}

func decoded(raw []byte, strict bool) (values []any, err error) {
	decoder := yamlv2.NewDecoder(bytes.NewReader(raw))
	decoder.SetStrict(strict)
	for {
		var value any
		switch err := decoder.Decode(&value); {
		case errors.Is(err, io.EOF):
			return values, nil
		case err != nil:
			return nil, oneLine(err)
		}
		plain, err := plainOf(value)
		if err != nil {
			return nil, err
		}
		values = append(values, plain)
	}
}

// overridesMerged says whether nothing is there twice but what a mapping merges
// first and then says otherwise. All readers take that alike; of a merge behind
// a key, some take the key and some the merge.
func overridesMerged(raw []byte) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	for {
		var node yaml.Node
		switch err := decoder.Decode(&node); {
		case errors.Is(err, io.EOF):
			return true
		case err != nil, !mergesFirst(&node):
			return false
		}
	}
}

func mergesFirst(node *yaml.Node) bool {
	keys := map[string]bool{}
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if keys[key.Value] || key.Value == "<<" && i > 0 || !isPlainKey(key) {
			return false
		}
		keys[key.Value] = true
	}
	return !slices.ContainsFunc(node.Content, func(child *yaml.Node) bool { return !mergesFirst(child) })
}

// isPlainKey is true of what is text to every reader: on and yes are not.
func isPlainKey(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && slices.Contains([]string{"!!str", "!!merge"}, key.ShortTag()) &&
		!slices.Contains([]string{"y", "yes", "on", "n", "no", "off"}, strings.ToLower(key.Value))
}

// SameDocuments refuses what kubectl, Flux and Argo CD would take apart in other
// places than YAML has it. They look for bytes at the beginning of a line, and
// to them ---#: ends a document, where for YAML it is a key like any other.
// https://github.com/kubernetes/apimachinery/blob/v0.36.2/pkg/util/yaml/decoder.go
func SameDocuments(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("yaml: it is not UTF-8, which other readers of Kubernetes take for granted")
	}
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		rest, marked := bytes.CutPrefix(line, []byte("---"))
		if marked && len(rest) > 0 && !bytes.ContainsRune([]byte(" \t\r\n"), rune(rest[0])) {
			return fmt.Errorf("yaml: line %d begins with --- and no space behind, which ends a document for some readers and for others does not", n)
		}
	}
	return nil
}

// oneLine tells several faults of YAML in one line.
func oneLine(err error) error {
	var faults *yamlv2.TypeError
	if errors.As(err, &faults) {
		return errors.New(strings.Join(faults.Errors, "; "))
	}
	return err
}

// plainOf is a YAML value as the JSON value that Kubernetes makes of it.
func plainOf(value any) (any, error) {
	switch v := value.(type) {
	case map[any]any:
		return plainObject(v)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			plain, err := plainOf(item)
			if err != nil {
				return nil, err
			}
			list[i] = plain
		}
		return list, nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, fmt.Errorf("the number %v is none of JSON's", v)
		}
	}
	return value, nil
}

func plainObject(v map[any]any) (any, error) {
	object := make(map[string]any, len(v))
	for key, item := range v {
		name, err := keyOf(key)
		if err != nil {
			return nil, err
		}
		if _, again := object[name]; again {
			return nil, fmt.Errorf("key %q is there twice", builtins.Clip(name))
		}
		if object[name], err = plainOf(item); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func keyOf(key any) (string, error) {
	switch k := key.(type) {
	case string:
		return k, nil
	case int, int64, uint64, bool, float64:
		return fmt.Sprint(k), nil
	}
	return "", fmt.Errorf("the key %v is no text", key)
}

// nodesOf are the places of the documents of a file. They are for messages
// alone; where two readers see different documents, no place is known.
func nodesOf(raw []byte, n int) []*yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var nodes []*yaml.Node
	for {
		var node yaml.Node
		if err := decoder.Decode(&node); err != nil {
			if !errors.Is(err, io.EOF) || len(nodes) != n {
				return make([]*yaml.Node, n)
			}
			return nodes
		}
		nodes = append(nodes, &node)
	}
}

// Line is where the document begins in its file, or the field that a path
// names, as far as that is known; else it is 1.
func (d Document) Line(path string) int {
	steps := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	if d.isReview() {
		steps = slices.Concat([]string{"request", "object"}, steps)
	}
	for n := len(steps); n >= 0; n-- {
		if node := find(d.node, steps[:n]...); node != nil {
			return max(node.Line, 1)
		}
	}
	return 1
}

// find gives the node at some steps below another; nil if it is not there.
func find(node *yaml.Node, steps ...string) *yaml.Node {
	for node != nil && (node.Kind == yaml.DocumentNode || node.Kind == yaml.AliasNode) {
		switch {
		case node.Kind == yaml.AliasNode:
			node = node.Alias
		case len(node.Content) == 0:
			return nil
		default:
			node = node.Content[0]
		}
	}
	if node == nil || len(steps) == 0 {
		return node
	}
	if i, err := strconv.Atoi(steps[0]); err == nil && node.Kind == yaml.SequenceNode && i >= 0 && i < len(node.Content) {
		return find(node.Content[i], steps[1:]...)
	}
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value != steps[0] {
			continue
		}
		if len(steps) == 1 {
			return keyed(node.Content[i], node.Content[i+1])
		}
		return find(node.Content[i+1], steps[1:]...)
	}
	return nil
}

// keyed is a value at the line of its key, where people look for it.
func keyed(key, value *yaml.Node) *yaml.Node {
	at := *value
	at.Line = key.Line
	return &at
}

func (d Document) isReview() bool {
	_, ok := d.Object["request"].(map[string]any)
	return ok && d.Object["kind"] == "AdmissionReview"
}

// Resource is the object that is judged: of an admission review, the one that
// it is about.
func (d Document) Resource() map[string]any {
	if !d.isReview() {
		return d.Object
	}
	object, _ := d.Object["request"].(map[string]any)["object"].(map[string]any)
	return object
}

// Name says which object it is: "HelmRelease shop/web".
func (d Document) Name() string {
	resource := d.Resource()
	metadata, _ := resource["metadata"].(map[string]any)
	kind, name, namespace := text(resource["kind"]), text(metadata["name"]), text(metadata["namespace"])
	if name == "" {
		name = text(metadata["generateName"])
	}
	if namespace != "" {
		name = namespace + "/" + name
	}
	if kind == "" {
		kind = "object"
	}
	return builtins.Printable(strings.TrimSpace(kind + " " + name))
}

func text(value any) string {
	text, _ := value.(string)
	return text
}
