// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"cmp"
	"context"
	"maps"
	pathpkg "path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
)

// A node is a chart while its files come in, in whatever order.
type node struct {
	Chart
	at       string           // path from the outermost chart of this archive or directory
	expanded map[string]*node // subcharts that lie in charts/ as directories
}

func newNode() *node {
	return &node{Chart: Chart{Raw: map[string][]byte{}}, expanded: map[string]*node{}}
}

// place finds the chart that a file at path belongs to, and the file's path
// from there, by the rules of Helm's loader. nested says that the file is
// itself the archive of a subchart.
func (n *node) place(at, path string) (owner *node, rest string, nested bool, err error) {
	for {
		below, ok := strings.CutPrefix(path, "charts/")
		name, inside, isDir := strings.Cut(below, "/")
		archived := pathpkg.Ext(name) == ".tgz"
		switch {
		case !ok, hidden(name), pathpkg.Ext(path) == ".prov":
			return n, path, false, nil
		case !isDir && archived:
			return n, path, true, nil
		case !isDir:
			return nil, "", false, notAChart("%s is neither an archive nor in a directory of its own", quoted(at))
		case archived:
			return nil, "", false, ambiguous("%s lies in a directory that is named like an archive", quoted(at))
		}
		n, path = n.subchart(name), inside
	}
}

func (n *node) subchart(name string) *node {
	if n.expanded[name] == nil {
		n.expanded[name] = newNode()
		n.expanded[name].at = pathpkg.Join(n.at, "charts", name)
	}
	return n.expanded[name]
}

// finish makes the chart of what came in. place leads reasons to it.
func (n *node) finish(ctx context.Context, place string, ignored *Ignored) (*Chart, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, ok := n.Raw["Chart.yaml"]
	if !ok {
		return nil, notAChart("%sthere is no Chart.yaml", place)
	}
	for _, file := range []string{"Chart.lock", "requirements.yaml", "requirements.lock"} {
		if ignored.Has(pathpkg.Join(n.at, file), false) {
			delete(n.Raw, file)
		}
	}
	metadata, err := parseMetadata(raw, n.Raw["requirements.yaml"])
	if err != nil {
		return nil, builtins.Errorf(builtins.MalformedChart, "%sChart.yaml: %w", place, err)
	}
	if _, ok := n.Raw["requirements.lock"]; ok && metadata.APIVersion != chart.APIVersionV1 {
		return nil, builtins.Errorf(builtins.MalformedChart, "%srequirements.lock in a chart of apiVersion %s", place, metadata.APIVersion)
	}
	n.Metadata = metadata
	for _, name := range slices.Sorted(maps.Keys(n.expanded)) {
		path := "charts/" + name
		c, err := n.expanded[name].finish(ctx, place+quoted(path)+": ", ignored)
		if err != nil {
			return nil, err
		}
		n.Subcharts = append(n.Subcharts, Subchart{Path: path, Chart: c})
	}
	slices.SortFunc(n.Subcharts, func(a, b Subchart) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(n.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return &n.Chart, nil
}
