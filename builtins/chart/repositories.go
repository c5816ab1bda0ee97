// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// rules say what a dependency's repository may be.
type rules struct {
	aliases    map[string]string // name → URL
	allowFiles bool
	source     builtins.Source
	plain      map[string]error // what the source said of http URLs
}

// alias is the name in "@name" or "alias:name".
func alias(repository string) (name string, ok bool) {
	if name, ok = strings.CutPrefix(repository, "@"); ok {
		return name, true
	}
	return strings.CutPrefix(repository, "alias:")
}

// url is repository with a known alias replaced.
func (r *rules) url(repository string) string {
	if name, ok := alias(repository); ok && r.aliases[name] != "" {
		return r.aliases[name]
	}
	return repository
}

// resolve gives the requests as Helm hashes them: with URLs for aliases.
func (r *rules) resolve(requested []*helmchart.Dependency) ([]*helmchart.Dependency, error) {
	if requested == nil {
		return nil, nil // its JSON differs from that of an empty list
	}
	resolved := make([]*helmchart.Dependency, 0, len(requested))
	for _, d := range requested {
		copied := *d
		copied.Repository = r.url(d.Repository)
		if name, ok := alias(copied.Repository); ok {
			return nil, outOfSync("repository %q of %q is an alias; the option repositories has no %q", clip(d.Repository), clip(d.Name), clip(name))
		}
		resolved = append(resolved, &copied)
	}
	return resolved, nil
}

// permitted refuses a repository by its form: a folder, unless folders are
// allowed and it is in the chart's own; a URL that is unsafe; http, unless the
// configuration names the host. Whether it answers is not asked.
func (r *rules) permitted(ctx context.Context, w *wanted) error {
	if _, unresolved := alias(w.repository); w.repository == "" || unresolved {
		return nil
	}
	err := r.form(ctx, w)
	if err != nil {
		return builtins.Errorf(builtins.SourceDenied, "repository %q of %q: %w", show(w.repository), clip(w.name), err)
	}
	return nil
}

func (r *rules) form(ctx context.Context, w *wanted) error {
	if folder, ok := strings.CutPrefix(w.repository, "file://"); ok {
		return r.folder(folder)
	}
	at, err := repositoryURL(w.repository)
	if err != nil || !strings.HasPrefix(at, "http://") {
		return err
	}
	return r.plainHTTP(ctx, at)
}

func (r *rules) folder(at string) error {
	switch cleaned := path.Clean(at); {
	case !r.allowFiles:
		return errors.New("a folder is no repository here: see the option allow_file_repositories")
	case path.IsAbs(cleaned) || strings.HasPrefix(cleaned, "..") || strings.ContainsAny(at, `\:`):
		return errors.New("the folder does not lie in the chart's own folder")
	}
	return nil
}

// plainHTTP asks the source whether it would go there; it does not go.
func (r *rules) plainHTTP(ctx context.Context, at string) error {
	if err, asked := r.plain[at]; asked {
		return err
	}
	artifact, err := r.source.Resolve(ctx, chartref.Parse(at+"/index.yaml"))
	if err == nil {
		err = artifact.Close()
	}
	if builtins.CodeOf(err) != builtins.SourceDenied {
		err = nil
	}
	r.plain[at] = err
	return err
}

// repositoryURL is the canonical form of a repository that can be asked.
func repositoryURL(repository string) (string, error) {
	ref := dependencyRef(repository, "name", "0.0.0")
	return ref.URL, ref.Err()
}

// dependencyRef names a dependency in its repository.
func dependencyRef(repository, name, version string) chartref.Ref {
	return chartref.FromValue(map[string]any{"repository": repository, "name": name, "version": version})
}

// show is a repository as a report may have it: canonical where that can be
// said, and never with what may be a secret in it.
func show(repository string) string {
	if at, err := repositoryURL(repository); err == nil {
		return clip(at)
	}
	if scheme, _, ok := strings.Cut(repository, "://"); ok && scheme != "file" {
		return clip(chartref.Parse(repository).String())
	}
	return clip(repository)
}

// checkAlias refuses an alias for what is no repository.
func checkAlias(name, url string) error {
	if name == "" {
		return errors.New("repositories has an alias without a name")
	}
	if bare, marked := alias(name); marked {
		return fmt.Errorf("repositories has %q: write the alias as %q", clip(name), clip(bare))
	}
	if _, err := repositoryURL(url); err != nil {
		return fmt.Errorf("repositories.%s: %w", clip(name), err)
	}
	return nil
}
