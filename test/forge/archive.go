// SPDX-License-Identifier: Apache-2.0

// Package forge makes what checks are tested with: valid things, and the same
// things with one named mutation. Its output never changes for equal input,
// signatures aside.
package forge

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"time"

	"github.com/chartseal/chartseal/builtins"
)

// An Entry is an entry of a tar, byte for byte as wanted.
type Entry struct {
	Name string // a final slash makes it a directory
	Body string

	Type byte              // 0 stands for a file or directory, as Name says
	Mode int64             // 0 stands for 0644
	Link string            // target of a link
	Size int64             // what the header claims; 0 stands for the size of Body
	PAX  map[string]string // at most one record, so that the order is certain
}

// Chart is a small chart beneath a directory of its name. The names in extra
// are relative to it.
func Chart(name, version string, extra ...Entry) []Entry {
	entries := []Entry{
		{Name: "Chart.yaml", Body: ChartYAML(name, version)},
		{Name: "values.yaml", Body: "replicas: 1\n"},
		{Name: "templates/service.yaml", Body: "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}}\n"},
	}
	return Beneath(name, append(entries, extra...)...)
}

// ChartYAML is the text of a Chart.yaml with more lines at its end.
func ChartYAML(name, version string, lines ...string) string {
	head := fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\ndescription: made for tests\n", name, version)
	return head + strings.Join(append(lines, ""), "\n")
}

// Beneath moves entries into a directory.
func Beneath(dir string, entries ...Entry) []Entry {
	moved := make([]Entry, 0, len(entries))
	for _, e := range entries {
		e.Name = dir + "/" + e.Name
		moved = append(moved, e)
	}
	return moved
}

// Archive is a chart archive of entries.
func Archive(entries ...Entry) []byte { return Gzip(Tar(entries...)) }

// Gzip is raw as one gzip member.
func Gzip(raw []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Tar is a tar of entries with its end.
func Tar(entries ...Entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		b.Write(e.Bytes())
	}
	b.Write(make([]byte, 2*block))
	return b.Bytes()
}

const block = 512

// Bytes is e as it stands in a tar. A name that the plain header cannot hold
// goes into a pax header.
func (e Entry) Bytes() []byte {
	var b bytes.Buffer
	if len(e.Name) > 100 || strings.ContainsRune(e.Name, 0) {
		b.Write(Entry{Name: "PaxHeader", Type: 'x', Body: record("path", e.Name)}.Bytes())
		e.Name = "pax"
	}
	for key, value := range e.PAX {
		b.Write(Entry{Name: "PaxHeader", Type: 'x', Body: record(key, value)}.Bytes())
	}
	b.Write(e.header())
	b.WriteString(e.Body)
	b.Write(make([]byte, -len(e.Body)&(block-1)))
	return b.Bytes()
}

// record is one pax record; its length counts its own digits.
func record(key, value string) string {
	rest := fmt.Sprintf(" %s=%s\n", key, value)
	size := len(rest)
	for size != len(rest)+len(fmt.Sprint(size)) {
		size = len(rest) + len(fmt.Sprint(size))
	}
	return fmt.Sprint(size) + rest
}

func (e Entry) header() []byte {
	e = e.withDefaults()
	h := make([]byte, block)
	octal := func(at, digits int, v int64) { copy(h[at:], fmt.Sprintf("%0*o", digits, v)) }
	copy(h[:100], e.Name)
	octal(100, 7, e.Mode)
	octal(108, 7, 0)
	octal(116, 7, 0)
	octal(124, 11, e.Size)
	octal(136, 11, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	copy(h[148:], "        ")
	h[156] = e.Type
	copy(h[157:257], e.Link)
	copy(h[257:], "ustar\x0000")
	var sum int64
	for _, c := range h {
		sum += int64(c)
	}
	octal(148, 6, sum)
	h[154] = 0
	return h
}

func (e Entry) withDefaults() Entry {
	if e.Type == 0 {
		e.Type = '0'
		if strings.HasSuffix(e.Name, "/") {
			e.Type, e.Mode = '5', 0o755
		}
	}
	if e.Mode == 0 {
		e.Mode = 0o644
	}
	if e.Size == 0 {
		e.Size = int64(len(e.Body))
	}
	return e
}

// An ArchiveMutation makes a bad archive from the entries of a good one that
// has its Chart.yaml first. Name starts with the attack's id where it has one.
type ArchiveMutation struct {
	Name string
	Code builtins.Code
	Make func(entries []Entry) []byte
}

// ArchiveMutations are the single faults of an archive that is small.
var ArchiveMutations = []ArchiveMutation{
	add("A10 entry twice", builtins.AmbiguousArchive, func(root string) []Entry {
		return []Entry{{Name: root + "/Chart.yaml", Body: ChartYAML("evil", "6.6.6")}}
	}),
	add("A10 two root directories", builtins.AmbiguousArchive, func(string) []Entry { return Chart("evil", "6.6.6") }),
	add("A10 file beside the root directory", builtins.AmbiguousArchive, func(string) []Entry {
		return []Entry{{Name: "Chart.yaml", Body: ChartYAML("evil", "6.6.6")}}
	}),
	path("A10 dot dot", "a/../b"),
	path("A10 dot dot at the end", "a/.."),
	path("A10 dot", "a/./b"),
	path("A10 empty segment", "a//b"),
	path("A10 name that starts with two dots", "..b"),
	add("A10 out of the root directory", builtins.AmbiguousArchive, func(root string) []Entry {
		return []Entry{{Name: "../" + root + "/b", Body: "b"}}
	}),
	add("A10 directory listed twice", builtins.AmbiguousArchive, func(root string) []Entry {
		return []Entry{{Name: root + "/a/"}, {Name: root + "/a/"}}
	}),
	add("A10 file, then directory", builtins.AmbiguousArchive, func(root string) []Entry {
		return []Entry{{Name: root + "/a", Body: "a"}, {Name: root + "/a/b", Body: "b"}}
	}),
	add("A10 directory, then file", builtins.AmbiguousArchive, func(root string) []Entry {
		return []Entry{{Name: root + "/a/b", Body: "b"}, {Name: root + "/a", Body: "a"}}
	}),
	special("A11 symbolic link", Entry{Type: '2', Link: "/etc/passwd"}),
	special("A11 hard link", Entry{Type: '1', Link: "web/Chart.yaml"}),
	special("A11 character device", Entry{Type: '3'}),
	special("A11 block device", Entry{Type: '4'}),
	special("A11 FIFO", Entry{Type: '6'}),
	special("A11 contiguous file", Entry{Type: '7', Body: "x"}),
	special("A11 unknown type", Entry{Type: 'Z', Body: "x"}),
	special("A11 file with the mode of a directory", Entry{Mode: 0o40755, Body: "x"}),
	special("A11 file with the mode of a link", Entry{Mode: 0o120777, Body: "x"}),
	special("A11 directory with content", Entry{Type: '5', Mode: 0o755, Body: "x"}),
	special("A11 sparse file", Entry{Body: "1\n0\n1\nx", PAX: map[string]string{"GNU.sparse.name": "x"}}),
	add("A11 global header that sets a path", builtins.AmbiguousArchive, func(string) []Entry {
		return []Entry{{Name: "pax_global_header", Type: 'g', Body: record("path", "web/evil")}}
	}),
	add("A12 absolute path", builtins.AmbiguousArchive, func(root string) []Entry {
		return []Entry{{Name: "/" + root + "/b", Body: "b"}}
	}),
	path("A12 backslash", `a\b`),
	path("A12 drive", "c:b"),
	path("A12 NUL", "a\x00b"),
	path("A12 newline", "a\nb"),
	path("A12 delete", "a\x7fb"),
	path("A12 right to left", "a\u202eb"),
	path("A12 not UTF-8", "a\xffb"),
	path("A12 case twins", "VALUES.yaml"),
	path("A12 case twins of a directory", "Templates/a"),
	path("A12 case twins that fold", "\u017ftore", "store"),
	path("A12 normalisation twins", "caf\u00e9", "cafe\u0301"),
	framed("A13 bytes after the gzip stream", builtins.AmbiguousArchive, func(b []byte) []byte { return append(b, "evil"...) }),
	framed("A13 a zero after the gzip stream", builtins.AmbiguousArchive, func(b []byte) []byte { return append(b, 0) }),
	framed("A13 second gzip member", builtins.AmbiguousArchive, func(b []byte) []byte {
		return append(b, Archive(Chart("evil", "6.6.6")...)...)
	}),
	framed("A13 empty second gzip member", builtins.AmbiguousArchive, func(b []byte) []byte { return append(b, Gzip(nil)...) }),
	tarred("A13 second tar", builtins.AmbiguousArchive, func(b []byte) []byte { return append(b, Tar(Chart("evil", "6.6.6")...)...) }),
	tarred("A13 bytes after the tar", builtins.AmbiguousArchive, func(b []byte) []byte { return append(b, "evil"...) }),
	tarred("damaged header", builtins.AmbiguousArchive, func(b []byte) []byte {
		b[len(Entry{Body: "x"}.Bytes())] ^= 1
		return b
	}),
	tarred("tar without an end", builtins.NotAChart, func(b []byte) []byte { return b[:len(b)-2*block] }),
	tarred("tar with half an end", builtins.NotAChart, func(b []byte) []byte { return b[:len(b)-block] }),
	tarred("tar cut in a file", builtins.NotAChart, func(b []byte) []byte { return b[:block+1] }),
	framed("P3 cut in the middle", builtins.NotAChart, func(b []byte) []byte { return b[:len(b)/2] }),
	framed("P3 cut by one byte", builtins.NotAChart, func(b []byte) []byte { return b[:len(b)-1] }),
	framed("P3 checksum flipped", builtins.NotAChart, func(b []byte) []byte {
		b[len(b)-8] ^= 1
		return b
	}),
	framed("empty", builtins.NotAChart, func([]byte) []byte { return nil }),
	framed("HTML page", builtins.NotAChart, func([]byte) []byte { return []byte("<html><body>not found</body></html>") }),
	tarred("gzipped HTML page", builtins.NotAChart, func([]byte) []byte {
		return []byte(strings.Repeat("<html><body>not found</body></html>", 100))
	}),
	tarred("gzip of nothing", builtins.NotAChart, func([]byte) []byte { return nil }),
	tarred("tar of nothing", builtins.NotAChart, func([]byte) []byte { return Tar() }),
	{"no Chart.yaml", builtins.NotAChart, func(entries []Entry) []byte { return Archive(entries[1:]...) }},
	yaml("A16 key twice", "name: evil"),
	yaml("A16 Dependencies", "Dependencies: []"),
	yaml("A16 two documents", "---\nname: evil"),
	replaced("A16 version is a number", "web", "1.10"),
	replaced("A17 name is a dot", ".", "1.2.3"),
	replaced("A17 name is two dots", "..", "1.2.3"),
	replaced("A17 name is a path", "a/b", "1.2.3"),
	replaced("A17 name is empty", `""`, "1.2.3"),
	add("A18 requirements.yaml in a v2 chart", builtins.MalformedChart, func(root string) []Entry {
		return []Entry{{Name: root + "/requirements.yaml", Body: "dependencies: []\n"}}
	}),
	add("A18 requirements.lock in a v2 chart", builtins.MalformedChart, func(root string) []Entry {
		return []Entry{{Name: root + "/requirements.lock", Body: "dependencies: []\n"}}
	}),
	yaml("A19 null maintainer", "maintainers: [null]"),
	yaml("A19 null dependency", "dependencies: [null]"),
	yaml("A19 null keyword", "keywords: [null]"),
	yaml("A19 null source", "sources: [null]"),
	yaml("A19 alias bomb", "bomb:\n- &a "+strings.Repeat("x", 4<<10)+"\n"+strings.Repeat("- *a\n", 4<<10)),
	nested("loose file in charts", builtins.NotAChart, Entry{Name: "README.md", Body: "x"}),
	nested("subchart without Chart.yaml", builtins.NotAChart, Entry{Name: "db/values.yaml", Body: "x"}),
	nested("subchart that is no archive", builtins.NotAChart, Entry{Name: "db-1.0.0.tgz", Body: "x"}),
	nested("directory named like an archive", builtins.AmbiguousArchive, Entry{Name: "db-1.0.0.tgz/Chart.yaml", Body: ChartYAML("db", "1.0.0")}),
	nested("A16 in a subchart", builtins.MalformedChart, Entry{Name: "db/Chart.yaml", Body: ChartYAML("db", "1.0.0", "name: evil")}),
	nested("A10 in a nested archive", builtins.AmbiguousArchive,
		Entry{Name: "db-1.0.0.tgz", Body: string(Archive(append(Chart("db", "1.0.0"), Chart("db", "1.0.0")...)...))}),
	nested("A13 in a nested archive", builtins.AmbiguousArchive,
		Entry{Name: "db-1.0.0.tgz", Body: string(Archive(Chart("db", "1.0.0")...)) + "evil"}),
}

// root is the directory that entries lie in.
func root(entries []Entry) string {
	dir, _, _ := strings.Cut(entries[0].Name, "/")
	return dir
}

func add(name string, code builtins.Code, more func(root string) []Entry) ArchiveMutation {
	return ArchiveMutation{name, code, func(entries []Entry) []byte {
		return Archive(append(entries[:len(entries):len(entries)], more(root(entries))...)...)
	}}
}

func path(name string, paths ...string) ArchiveMutation {
	return add(name, builtins.AmbiguousArchive, func(root string) []Entry {
		var entries []Entry
		for _, p := range paths {
			entries = append(entries, Entry{Name: root + "/" + p, Body: "x"})
		}
		return entries
	})
}

func special(name string, e Entry) ArchiveMutation {
	return add(name, builtins.AmbiguousArchive, func(root string) []Entry {
		e.Name = root + "/templates/special"
		return []Entry{e}
	})
}

func nested(name string, code builtins.Code, e Entry) ArchiveMutation {
	return add(name, code, func(root string) []Entry { return Beneath(root+"/charts", e) })
}

func framed(name string, code builtins.Code, mutate func([]byte) []byte) ArchiveMutation {
	return ArchiveMutation{name, code, func(entries []Entry) []byte { return mutate(Archive(entries...)) }}
}

func tarred(name string, code builtins.Code, mutate func([]byte) []byte) ArchiveMutation {
	return ArchiveMutation{name, code, func(entries []Entry) []byte { return Gzip(mutate(Tar(entries...))) }}
}

func yaml(name, line string) ArchiveMutation {
	return ArchiveMutation{name, builtins.MalformedChart, func(entries []Entry) []byte {
		bad := append([]Entry(nil), entries...)
		bad[0].Body += line + "\n"
		return Archive(bad...)
	}}
}

func replaced(name, chart, version string) ArchiveMutation {
	return ArchiveMutation{name, builtins.MalformedChart, func(entries []Entry) []byte {
		bad := append([]Entry(nil), entries...)
		bad[0].Body = ChartYAML(chart, version)
		return Archive(bad...)
	}}
}
