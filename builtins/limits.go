// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"fmt"
	"time"
)

// Limits bound what one reference may cost. Everything nested in a reference
// shares one budget. The zero value allows nothing; start from [DefaultLimits].
type Limits struct {
	Provenance int64 `json:"provenance" doc:"bytes of a .prov"`
	Trust      int64 `json:"trust" doc:"bytes of a keyring or trusted root"`
	Metadata   int64 `json:"metadata" doc:"bytes of a Chart.yaml, a lock or an OCI config"`

	Archive         int64 `json:"archive" doc:"bytes of an archive as fetched"`
	ArchiveUnpacked int64 `json:"archive_unpacked" doc:"bytes of an archive and all nested in it, unpacked"`
	ArchiveFile     int64 `json:"archive_file" doc:"bytes of one file in an archive"`
	ArchiveEntries  int64 `json:"archive_entries" doc:"entries of an archive and all nested in it"`
	ArchiveNesting  int64 `json:"archive_nesting" doc:"levels of archives in archives"`
	PathBytes       int64 `json:"path_bytes" doc:"bytes of a path in an archive"`
	PathDepth       int64 `json:"path_depth" doc:"segments of a path in an archive"`

	Index     int64 `json:"index" doc:"bytes of an index.yaml"`
	Manifest  int64 `json:"manifest" doc:"bytes of an OCI manifest"`
	Payload   int64 `json:"payload" doc:"bytes of a signed payload"`
	Bundle    int64 `json:"bundle" doc:"bytes of a sigstore bundle"`
	Signature int64 `json:"signature" doc:"bytes of all signature material of a reference"`

	ProvenanceSignatures int64 `json:"provenance_signatures" doc:"PGP signatures in a .prov"`
	Signatures           int64 `json:"signatures" doc:"cosign signatures or referrers"`
	Pages                int64 `json:"pages" doc:"pages of a listing"`
	ChainCertificates    int64 `json:"chain_certificates" doc:"certificates in a chain"`
	LogEntries           int64 `json:"log_entries" doc:"log entries or timestamps of a bundle"`
	Subjects             int64 `json:"subjects" doc:"subjects of a statement"`

	Redirects int64 `json:"redirects" doc:"redirects of one request"`
	Token     int64 `json:"token" doc:"bytes of a token service's answer"`

	Documents    int64 `json:"documents" doc:"bytes of documents over 1 MiB that are held at once"`
	HostRequests int64 `json:"host_requests" doc:"requests to one host at once"`
	HostQueue    int64 `json:"host_queue" doc:"requests that wait for one host; one more is unavailable at once"`

	Connect   Duration `json:"connect" doc:"time to connect, TLS included"`
	Silence   Duration `json:"silence" doc:"time without a byte while reading; 500ms in the provider"`
	Reference Duration `json:"reference" doc:"time for one reference in all; 1.4s in the provider"`
}

// DefaultLimits are the limits of the command line.
func DefaultLimits() Limits {
	const kib, mib = 1 << 10, 1 << 20
	return Limits{
		Provenance: 1 * mib, Trust: 8 * mib, Metadata: 1 * mib,
		// Helm unpacks 100 MiB: what Helm installs we must be able to judge.
		Archive: 64 * mib, ArchiveUnpacked: 100 * mib, ArchiveFile: 8 * mib,
		ArchiveEntries: 10_000, ArchiveNesting: 4, PathBytes: 1024, PathDepth: 32,
		Index: 32 * mib, Manifest: 4 * mib, Payload: 1 * mib, Bundle: 2 * mib, Signature: 16 * mib,
		ProvenanceSignatures: 16, Signatures: 100, Pages: 10,
		ChainCertificates: 10, LogEntries: 32, Subjects: 1024,
		Redirects: 5, Token: 64 * kib,
		Documents: 128 * mib, HostRequests: 32, HostQueue: 16384,
		Connect: Duration(time.Second), Silence: Duration(10 * time.Second), Reference: Duration(30 * time.Second),
	}
}

// A Duration is a [time.Duration] that is written "1.5s" in YAML and JSON.
type Duration time.Duration

// UnmarshalText reads what [time.ParseDuration] reads, if it is positive.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("duration %q is not like \"1.5s\"", text)
	}
	if parsed <= 0 {
		return fmt.Errorf("duration %q is not positive", text)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalText writes d as [time.Duration.String] does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }
