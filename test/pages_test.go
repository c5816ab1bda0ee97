// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v2"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/config"
)

// pages are all that people read, by their paths from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "builtins/*.md", "policies/*/*.md", "deploy/*/*.md", "deploy/chart/*/*.md", "test/bench/*.md"} {
		files, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			texts[strings.TrimPrefix(filepath.ToSlash(file), "../")] = read(t, file)
		}
	}
	if len(texts) < 15 {
		t.Fatalf("%d pages, want all", len(texts))
	}
	return texts
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

var (
	fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	title = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// Every link within the repository leads to a file that is there, and to a title in it.
func TestLinks(t *testing.T) {
	texts := pages(t)
	for page, text := range texts {
		for _, match := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			to, anchor, _ := strings.Cut(match[1], "#")
			target := page
			if to != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(page), to))
			}
			if _, err := os.Stat(filepath.Join("..", target)); err != nil {
				t.Errorf("%s: %s: there is no %s", page, match[1], target)
			}
			if anchor != "" && !slices.Contains(anchors(texts[target]), anchor) {
				t.Errorf("%s: %s: %s has no such title", page, match[1], target)
			}
		}
	}
}

// anchors are the titles of a page as links name them.
func anchors(text string) (names []string) {
	for _, match := range title.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.ReplaceAll(strings.ToLower(match[1]), " ", "-")
		names = append(names, regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(name, ""))
	}
	return names
}

// What pages show as YAML is YAML, and no key is there twice.
func TestYAMLOfPages(t *testing.T) {
	for page, text := range pages(t) {
		for _, match := range fence.FindAllStringSubmatch(text, -1) {
			if match[1] != "yaml" {
				continue
			}
			decoder := yaml.NewDecoder(strings.NewReader(match[2]))
			decoder.SetStrict(true)
			for {
				var document any
				err := decoder.Decode(&document)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Errorf("%s: %v in\n%s", page, err, match[2])
					break
				}
			}
		}
	}
}

// rows are those of the tables of a page that begin with names in backquotes: their cells.
func rows(text string) (all [][]string) {
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "| `") {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	return all
}

var quoted = regexp.MustCompile("`([^`]+)`")

// section is a page from a title to the next of its level.
func section(t *testing.T, text, name string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "\n## "+name+"\n")
	if !ok {
		t.Fatalf("there is no section %q", name)
	}
	before, _, _ := strings.Cut(after, "\n## ")
	return before
}

// The page for owners of clusters knows every code there is, and what it means for the object.
func TestCodesOfTroubles(t *testing.T) {
	texts := pages(t)
	outcomes := map[string]string{}
	for _, row := range rows(section(t, texts["docs/cluster.md"], "When something is denied")) {
		for _, code := range quoted.FindAllStringSubmatch(row[0], -1) {
			if outcomes[code[1]] != "" {
				t.Errorf("%s is there twice", code[1])
			}
			outcomes[code[1]] = row[1]
		}
	}
	want := map[string]string{}
	for page, text := range texts {
		if strings.HasPrefix(page, "policies/") {
			for _, row := range rows(section(t, text, "Messages")) {
				for _, code := range quoted.FindAllStringSubmatch(row[0], -1) {
					want[code[1]] = string(builtins.Code(code[1]).Outcome())
				}
			}
		}
	}
	want["verification"] = string(builtins.Rejected) // in the text of engine_verification
	for _, row := range rows(section(t, texts["builtins/README.md"], "Codes")) {
		want[strings.Trim(row[0], "`")] = row[1]
	}
	delete(want, "ok")
	for code, outcome := range want {
		if outcomes[code] != outcome {
			t.Errorf("%s is %q, want %q", code, outcomes[code], outcome)
		}
		delete(outcomes, code)
	}
	for code := range outcomes {
		t.Errorf("%s is a code of nothing", code)
	}
}

const chart = "../deploy/chart/chartseal"

// The page of the chart has every value, with its default.
func TestValuesOfChart(t *testing.T) {
	values := values(t, read(t, chart+"/values.yaml"))
	told := map[string]bool{}
	for _, row := range rows(section(t, read(t, chart+"/README.md"), "Values")) {
		key := strings.Trim(row[0], "`")
		told[key] = true
		value, ok := at(values, key)
		var want any
		if err := k8syaml.Unmarshal([]byte(strings.Trim(row[1], "`")), &want); err != nil {
			t.Errorf("%s: default %s: %v", key, row[1], err)
		}
		if !ok || !reflect.DeepEqual(value, want) {
			t.Errorf("%s has the default %v, the page says %s", key, value, row[1])
		}
	}
	for _, leaf := range leaves("", values) {
		for path := leaf; !told[path]; path = path[:strings.LastIndex(path, ".")] {
			if !strings.Contains(path, ".") {
				t.Errorf("the page does not have %s", leaf)
				break
			}
		}
	}
}

func values(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := k8syaml.UnmarshalStrict([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func at(values map[string]any, path string) (any, bool) {
	first, rest, more := strings.Cut(path, ".")
	value, ok := values[first]
	if inner, isObject := value.(map[string]any); more && isObject {
		return at(inner, rest)
	}
	return value, ok && !more
}

// leaves are the paths of all values that hold no further ones.
func leaves(prefix string, values map[string]any) (paths []string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		path := strings.TrimPrefix(prefix+"."+key, ".")
		if inner, ok := values[key].(map[string]any); ok && len(inner) > 0 {
			paths = append(paths, leaves(path, inner)...)
		} else {
			paths = append(paths, path)
		}
	}
	return paths
}

// The page of the action has every input, with its default.
func TestInputsOfAction(t *testing.T) {
	inputs, _ := values(t, read(t, "../deploy/github-action/action.yml"))["inputs"].(map[string]any)
	for _, row := range rows(read(t, "../deploy/github-action/README.md")) {
		name := strings.Trim(row[0], "`")
		input, ok := inputs[name].(map[string]any)
		if !ok {
			t.Errorf("there is no input %s", name)
		}
		if told, is := strings.Trim(row[1], "`"), input["default"]; name != "base-url" && told != or(is, "") {
			t.Errorf("%s has the default %v, the page says %q", name, is, told)
		}
		delete(inputs, name)
	}
	for name := range inputs {
		t.Errorf("the page does not have %s", name)
	}
}

func or(value, missing any) any {
	if value == nil {
		return missing
	}
	return value
}

var valuesBlock = regexp.MustCompile("(?ms)^<!-- file: ([a-z-]*values.yaml) -->\n```yaml\n(.*?)^```$")

// Values that pages show are taken by the chart that they are for; the provider
// takes the configuration that ours makes of them.
func TestValuesOfPages(t *testing.T) {
	gatekeeper := moduleDir(t, "github.com/open-policy-agent/gatekeeper/v3") + "/charts/gatekeeper"
	n := 0
	for page, text := range pages(t) {
		for _, match := range valuesBlock.FindAllStringSubmatch(text, -1) {
			n++
			if match[1] == "gatekeeper-values.yaml" {
				all := strings.Join(slices.Collect(maps.Values(render(t, gatekeeper, "gatekeeper", match[2]))), "\n")
				for _, flag := range []string{"max-serving-threads=32", "external-data-provider-response-cache-ttl=30s", "additional-validating-webhook-configs-to-rotate-certs=chartseal-validating-webhook-configuration"} {
					if !strings.Contains(all, "--"+flag) {
						t.Errorf("%s: Gatekeeper is not started with --%s", page, flag)
					}
				}
				if !regexp.MustCompile(`name: GOGC\s+value: "off"\s+- name: GOMEMLIMIT\s+value: 400MiB`).MatchString(all) {
					t.Errorf("%s: Gatekeeper's garbage is collected as by default", page)
				}
				continue
			}
			objects := render(t, chart, "chartseal", match[2])
			object := values(t, objects["chartseal/templates/configmap.yaml"])
			file := filepath.Join(t.TempDir(), "chartseal.yaml")
			written, _ := at(object, "data")
			if err := os.WriteFile(file, []byte(written.(map[string]any)["chartseal.yaml"].(string)), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := config.LoadProvider(file); err != nil {
				t.Errorf("%s, %s: %v", page, match[1], err)
			}
		}
	}
	if n < 4 {
		t.Errorf("%d values, want those of two pages", n)
	}
}

// render gives what Helm makes of the chart, by the names of its templates.
func render(t *testing.T, path, name, given string) map[string]string {
	t.Helper()
	files, err := rendered(t, path, name, values(t, given))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// rendered is [render] where Helm may refuse the values.
func rendered(t *testing.T, path, name string, given map[string]any) (map[string]string, error) {
	t.Helper()
	loaded, err := loader.LoadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	options := chartutil.ReleaseOptions{Name: name, Namespace: "gatekeeper-system", IsInstall: true}
	all, err := chartutil.ToRenderValues(loaded, given, options, nil)
	if err != nil {
		return nil, err
	}
	return engine.Render(loaded, all)
}

func moduleDir(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// The page for owners speaks of the webhook configuration and of the alerts by
// their names.
func TestNamesOfPages(t *testing.T) {
	webhook := values(t, read(t, "../deploy/webhook/webhook.yaml"))
	name, _ := at(webhook, "metadata.name")
	hooks, _ := webhook["webhooks"].([]any)
	names := []string{name.(string), hooks[0].(map[string]any)["name"].(string)}
	for _, alert := range regexp.MustCompile(`(?m)^- alert: (.*)$`).FindAllStringSubmatch(read(t, chart+"/files/alerts.yaml"), -1) {
		names = append(names, "`"+alert[1]+"`")
	}
	page := read(t, "../docs/cluster.md")
	for _, name := range names {
		if !strings.Contains(page, name) {
			t.Errorf("the page does not know %s", name)
		}
	}
}

// The page for owners lists the kinds that our webhook configuration asks about;
// a HelmRepository names no chart.
func TestKindsOfPages(t *testing.T) {
	t.Parallel()
	page := read(t, "../docs/cluster.md")
	listed := map[string]bool{"helmrepositories.source.toolkit.fluxcd.io": true}
	for _, match := range regexp.MustCompile(`apiGroups: \[(.*)\](?:, |\s+)kinds: \[(.*)\]`).FindAllStringSubmatch(page, -1) {
		for group := range strings.SplitSeq(match[1], ", ") {
			for kind := range strings.SplitSeq(match[2], ", ") {
				resource, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind})
				listed[resource.GroupResource().String()] = true
			}
		}
	}
	asked := map[string]bool{}
	hooks, _ := values(t, read(t, "../deploy/webhook/webhook.yaml"))["webhooks"].([]any)
	rules, _ := at(hooks[0].(map[string]any), "rules")
	for _, rule := range rules.([]any) {
		for _, resource := range rule.(map[string]any)["resources"].([]any) {
			asked[fmt.Sprintf("%s.%s", resource, rule.(map[string]any)["apiGroups"].([]any)[0])] = true
		}
	}
	if diff := cmp.Diff(asked, listed); diff != "" {
		t.Errorf("the webhook configuration (-) and the page (+):\n%s", diff)
	}
}

// What the chart says of Gatekeeper goes with its namespace, and lists that are
// empty open nothing.
func TestChartOpensNothingByDefault(t *testing.T) {
	t.Parallel()
	for namespace, given := range map[string]string{"gatekeeper-system": "{}", "policy": "gatekeeper: {namespace: policy}\nclients: {configMap: ca}"} {
		if text := render(t, chart, "chartseal", given)["chartseal/templates/configmap.yaml"]; !strings.Contains(text, "names: [gatekeeper-webhook-service."+namespace+".svc]") {
			t.Errorf("%s: %s", namespace, text)
		}
	}
	for given, want := range map[string]int{"{}": 2, "networkPolicy: {registries: []}": 1, "networkPolicy: {ports: []}": 1} {
		object := values(t, render(t, chart, "chartseal", given)["chartseal/templates/networkpolicy.yaml"])
		if egress, _ := object["spec"].(map[string]any)["egress"].([]any); len(egress) != want {
			t.Errorf("%s: %d rules of egress, want %d: %v", given, len(egress), want, egress)
		}
	}
}

// The chart's schema knows the fields of chartseal.yaml that are its values.
func TestSchemaKnowsConfiguration(t *testing.T) {
	t.Parallel()
	schema := values(t, read(t, chart+"/values.schema.json"))
	for name, of := range map[string]reflect.Type{"limits": reflect.TypeFor[builtins.Limits](), "cache": reflect.TypeFor[config.Cache]()} {
		got, _ := at(schema, "properties."+name)
		if diff := cmp.Diff(fieldsOf(of), typesIn(got)); diff != "" {
			t.Errorf("%s, the configuration (-) and the schema (+):\n%s", name, diff)
		}
	}
}

// fieldsOf are the fields of a struct with the types that JSON has for them.
func fieldsOf(of reflect.Type) map[string]any {
	fields := map[string]any{}
	for i := range of.NumField() {
		field := of.Field(i)
		name := field.Tag.Get("json")
		switch kind := field.Type; {
		case kind == reflect.TypeFor[builtins.Duration](), kind.Kind() == reflect.String:
			fields[name] = "string"
		case kind.Kind() == reflect.Int64:
			fields[name] = "integer"
		case kind == reflect.TypeFor[*bool]():
			fields[name] = "boolean"
		default:
			fields[name] = fieldsOf(kind.Elem())
		}
	}
	return fields
}

// typesIn are the properties of a schema, which has no others, with their types.
func typesIn(schema any) map[string]any {
	object := schema.(map[string]any)
	types := map[string]any{}
	if object["additionalProperties"] != false {
		types["any other"] = true
	}
	properties, _ := object["properties"].(map[string]any)
	for name, property := range properties {
		types[name] = property.(map[string]any)["type"]
		if types[name] == "object" {
			types[name] = typesIn(property)
		}
	}
	return types
}

// The chart renders with the values that owners may have, and says what is wrong
// with those that no release may have.
func TestChartKnowsItsValues(t *testing.T) {
	t.Parallel()
	var variants struct {
		Accepted map[string]map[string]any
		Refused  map[string]struct {
			Values map[string]any
			Says   string
		}
	}
	if err := k8syaml.UnmarshalStrict([]byte(read(t, "cluster/testdata/values.yaml")), &variants); err != nil {
		t.Fatal(err)
	}
	for name, given := range variants.Accepted {
		if _, err := rendered(t, chart, "chartseal", given); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, refused := range variants.Refused {
		if _, err := rendered(t, chart, "chartseal", refused.Values); err == nil || !strings.Contains(err.Error(), refused.Says) {
			t.Errorf("%s: %v, want %q in it", name, err, refused.Says)
		}
	}
}
