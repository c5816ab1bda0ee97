// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/chartseal/chartseal/policies/template"
)

// suiteOf makes a test of every folder of samples. In it lie the constraint,
// objects that it allows and objects that it does not, and, as inventory*.yaml,
// what is synced.
func suiteOf(repository fs.FS, policy string) (string, error) {
	var out strings.Builder
	out.WriteString(origin(policy) + "kind: Suite\napiVersion: test.gatekeeper.sh/v1alpha1\nmetadata:\n  name: " + strings.ToLower(template.Kind(policy)) + "\n")
	base := "deploy/policies/" + policy
	samples, err := fs.Glob(repository, base+"/samples/*/constraint.yaml")
	if err != nil || len(samples) == 0 {
		out.WriteString("tests: []\n")
		return out.String(), err
	}
	out.WriteString("tests:\n")
	for _, constraint := range samples {
		folder := path.Dir(constraint)
		fmt.Fprintf(&out, "  - name: %s\n    template: template.yaml\n    constraint: samples/%s/constraint.yaml\n    cases:\n", path.Base(folder), path.Base(folder))
		if err := writeCases(&out, repository, base, folder); err != nil {
			return "", fmt.Errorf("sample %s: %w", path.Base(folder), err)
		}
	}
	return out.String(), nil
}

// writeCases wants both kinds: a constraint that denies everything, or
// nothing, shows nothing.
func writeCases(out *strings.Builder, repository fs.FS, base, folder string) error {
	inventory, err := fs.Glob(repository, folder+"/inventory*.yaml")
	if err != nil {
		return err
	}
	for _, prefix := range []string{"example_allowed", "example_disallowed"} {
		objects, err := fs.Glob(repository, folder+"/"+prefix+"*.yaml")
		if err != nil {
			return err
		}
		if len(objects) == 0 {
			return fmt.Errorf("it has no %s", prefix)
		}
		for _, object := range objects {
			if err := writeCase(out, repository, base, object, inventory); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeCase(out *strings.Builder, repository fs.FS, base, object string, inventory []string) error {
	raw, err := fs.ReadFile(repository, object)
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(path.Base(object), ".yaml")
	fmt.Fprintf(out, "      - name: %s\n        object: %s\n", strings.ReplaceAll(strings.TrimPrefix(name, "example_"), "_", "-"), relative(base, object))
	if len(inventory) > 0 {
		out.WriteString("        inventory:\n")
	}
	for _, file := range inventory {
		fmt.Fprintf(out, "          - %s\n", relative(base, file))
	}
	assertions, err := assertionsOf(raw, strings.HasPrefix(name, "example_allowed"))
	fmt.Fprintf(out, "        assertions:\n%s", assertions)
	return err
}

func relative(base, file string) string { return strings.TrimPrefix(file, base+"/") }

// assertionsOf reads what a sample that is not allowed says of itself, in lines
// "# violations: 2" and "# message: REGEXP".
func assertionsOf(raw []byte, allowed bool) (string, error) {
	if allowed {
		return "          - violations: no\n", nil
	}
	count, messages := "yes", ""
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "# violations: "); ok {
			if _, err := strconv.ParseUint(n, 10, 16); err != nil {
				return "", fmt.Errorf("violations: %w", err)
			}
			count = n
		}
		if text, ok := strings.CutPrefix(lines.Text(), "# message: "); ok {
			messages += "          - violations: yes\n            message: " + template.Quote(text) + "\n"
		}
	}
	return "          - violations: " + count + "\n" + messages, nil
}
