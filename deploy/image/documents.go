// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The types of what is attached.
const (
	sbomType       = "application/vnd.cyclonedx+json"
	provenanceType = "application/vnd.in-toto+json"
)

// documents are the SBOM and the provenance of an image, as artifacts that are
// attached to it. They say what Go wrote into the binary, and nothing from hearsay.
func (b *build) documents(command string, image v1.Image, binary string) ([]v1.Image, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	bill, err := b.sbom(command, info)
	if err != nil {
		return nil, err
	}
	statement, err := b.provenance(command, image, info)
	if err != nil {
		return nil, err
	}
	var attached []v1.Image
	for _, document := range []struct {
		kind    string
		content []byte
	}{{sbomType, bill}, {provenanceType, statement}} {
		artifact, err := attach(image, document.kind, document.content)
		if err != nil {
			return nil, err
		}
		attached = append(attached, artifact)
	}
	return attached, nil
}

// sbom lists the modules in the binary as CycloneDX 1.6, each with the sum that
// go.sum has. It has neither time nor serial number, so that the same binary
// has the same document.
func (b *build) sbom(command string, info *buildinfo.BuildInfo) ([]byte, error) {
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		BOMRef: purl(module, b.version), Type: cyclonedx.ComponentTypeApplication, Name: command, Version: b.version, PackageURL: purl(module, b.version),
	}}
	components := []cyclonedx.Component{{
		BOMRef: purl("std", info.GoVersion), Type: cyclonedx.ComponentTypeLibrary, Name: "std", Version: info.GoVersion, PackageURL: purl("std", info.GoVersion),
	}}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		components = append(components, cyclonedx.Component{
			BOMRef: purl(dep.Path, dep.Version), Type: cyclonedx.ComponentTypeLibrary, Name: dep.Path, Version: dep.Version, PackageURL: purl(dep.Path, dep.Version),
			Properties: &[]cyclonedx.Property{{Name: "go.sum", Value: dep.Sum}},
		})
	}
	bom.Components = &components
	var out bytes.Buffer
	err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6)
	return out.Bytes(), err
}

func purl(path, version string) string { return fmt.Sprintf("pkg:golang/%s@%s", path, version) }

// provenance is a statement of in-toto with SLSA's predicate. Nobody has signed
// it: whoever releases signs it with the image.
func (b *build) provenance(command string, image v1.Image, info *buildinfo.BuildInfo) ([]byte, error) {
	digest, err := image.Digest()
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		if strings.HasPrefix(setting.Key, "GO") || strings.HasPrefix(setting.Key, "-") || strings.HasPrefix(setting.Key, "CGO") {
			settings[setting.Key] = setting.Value
		}
	}
	return json.MarshalIndent(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": command, "digest": map[string]string{digest.Algorithm: digest.Hex}}},
		"predicateType": "https://slsa.dev/provenance/v1",
		"predicate": map[string]any{
			"buildDefinition": map[string]any{
				"buildType":            "https://" + module + "/deploy/image",
				"externalParameters":   map[string]any{"command": command, "version": b.version},
				"internalParameters":   map[string]any{"go": info.GoVersion, "settings": settings},
				"resolvedDependencies": append([]any{source(b.revision)}, materials(info)...),
			},
			"runDetails": map[string]any{"builder": map[string]string{"id": "https://" + module + "/deploy/image"}},
		},
	}, "", " ")
}

func source(revision string) any {
	commit, _, _ := strings.Cut(revision, "+")
	return map[string]any{"uri": "git+https://" + module + "@" + revision, "digest": map[string]string{"gitCommit": commit}}
}

// materials are the modules, with the hash that go.sum has of each.
func materials(info *buildinfo.BuildInfo) []any {
	found := map[string]string{}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		found[purl(dep.Path, dep.Version)] = dep.Sum
	}
	var all []any
	for _, uri := range slices.Sorted(maps.Keys(found)) {
		all = append(all, map[string]any{"uri": uri, "digest": map[string]string{"dirHash": found[uri]}})
	}
	return all
}
