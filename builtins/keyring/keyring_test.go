// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/chartseal/chartseal/builtins/keyring"
	"github.com/chartseal/chartseal/test/forge"
)

var (
	alice = forge.NewKey(forge.KeySpec{UserID: "Alice <alice@example.com>"})
	bob   = forge.NewKey(forge.KeySpec{UserID: "Bob <bob@example.com>", Algorithm: "p256"})
	carol = forge.NewKey(forge.KeySpec{UserID: "Carol <carol@example.com>", Algorithm: "ed25519-v6"})
)

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func tag(t byte, body string) []byte { return append([]byte{0xc0 | t, byte(len(body))}, body...) }

// oldFormat frames the first packet of key with a header of the older format, two bytes of length.
func oldFormat(key []byte) []byte {
	for p, err := range keyring.Packets(key) {
		if err != nil {
			panic(err)
		}
		header := binary.BigEndian.AppendUint16([]byte{0x80 | byte(p.Tag)<<2 | 1}, uint16(len(p.Body)))
		return cat(header, p.Body, key[len(p.Raw):])
	}
	return nil
}

func TestParse(t *testing.T) {
	a, b, c := alice.Public(), bob.Public(), carol.Public()
	two := alice.Fingerprint() + " " + bob.Fingerprint()
	for name, test := range map[string]struct {
		raw  []byte
		want string // fingerprints
	}{
		"binary":                          {cat(a, b), two},
		"version 6":                       {cat(c, a), carol.Fingerprint() + " " + alice.Fingerprint()},
		"old packet format":               {cat(oldFormat(a), b), two},
		"armored":                         {[]byte(alice.ArmoredPublic()), alice.Fingerprint()},
		"two armored blocks":              {[]byte(alice.ArmoredPublic() + "and\n\n" + bob.ArmoredPublic()), two},
		"armored after a comment":         {[]byte("our keys:\n" + alice.ArmoredPublic()), alice.Fingerprint()},
		"armored with CRLF and blanks":    {[]byte("\r\n " + strings.ReplaceAll(alice.ArmoredPublic(), "\n", " \r\n")), alice.Fingerprint()},
		"armored after a byte order mark": {[]byte("\uFEFF" + alice.ArmoredPublic()), alice.Fingerprint()},
		"armor header and checksum":       {[]byte(strings.NewReplacer("-----\n\n", "-----\nVersion: x\n\n", "\n-----END", "\n=AAAA\n-----END").Replace(alice.ArmoredPublic())), alice.Fingerprint()},
		"keybox":                          {forge.Keybox(a, b), two},
		"secret key":                      {cat(alice.Secret(), b), two},
		"armored secret key":              {[]byte(forge.Armor("PRIVATE KEY BLOCK", alice.Secret())), alice.Fingerprint()},
		"two copies are one key":          {cat(a, b, a), two},
		"trust packets":                   {cat(a, tag(12, "xx"), b, tag(12, "xx")), two},
		"user attribute":                  {cat(a, tag(17, "\x05photo"), b), two},
		"unknown packet":                  {cat(a, tag(60, "?"), b), two},
		"signature before the first key":  {cat(alice.Revocation(nil, forge.Epoch), b), bob.Fingerprint()},
		"key of version 3":                {cat(tag(6, "\x03\x00\x00\x00\x00\x00\x00\x01"), tag(13, "old"), a), alice.Fingerprint()},
		"unknown algorithm":               {cat(a, tag(6, "\x04\x00\x00\x00\x00\x63?"), tag(13, "new")), alice.Fingerprint() + " CC00337FA92CD54BB7D2A3A3A25B1EDDA33764C3"},
	} {
		t.Run(name, func(t *testing.T) {
			ring, err := keyring.Parse(test.raw)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(ring.Fingerprints(), " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if ring.Len() != len(ring.Fingerprints()) {
				t.Errorf("Len is %d of %d fingerprints", ring.Len(), len(ring.Fingerprints()))
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	a := alice.Public()
	box := forge.Keybox(a)
	for name, test := range map[string]struct {
		raw  []byte
		want string
	}{
		"empty":                      {nil, "holds no OpenPGP key: it is empty"},
		"only a revocation":          {alice.Revocation(nil, forge.Epoch), "holds no OpenPGP key"},
		"only keys of version 3":     {tag(6, "\x03\x00\x00\x00\x00\x00\x00\x01"), "holds no OpenPGP key"},
		"text":                       {[]byte("these are no keys"), "not an OpenPGP keyring: key 0: packet 1: byte 0x74 begins no packet"},
		"cut":                        {a[:len(a)-1], "key 1: packet 3: type 2 is"},
		"second key cut":             {cat(a, bob.Public()[:60]), "key 1: packet 4: type 6 is"},
		"length beyond the end":      {cat(a, []byte{0xc6, 255, 255, 255, 255, 255, 1}), "type 6 is 4294967295 bytes long, 1 are left"},
		"partial length":             {cat(a, []byte{0xc6, 0xe1, 1, 2}), "partial or indeterminate"},
		"indeterminate length":       {cat(a, []byte{0x9b, 4}), "partial or indeterminate"},
		"header cut":                 {cat(a, []byte{0xc6}), "header is cut off"},
		"armor without end":          {[]byte(strings.Split(alice.ArmoredPublic(), "-----END")[0]), "does not end"},
		"armor without empty line":   {[]byte(strings.Replace(alice.ArmoredPublic(), "\n\n", "\n", 1)), "no empty line"},
		"armor is not base64":        {[]byte(strings.Replace(alice.ArmoredPublic(), "\n\n", "\n\n!", 1)), "not base64"},
		"armor with a long line":     {[]byte(strings.Replace(alice.ArmoredPublic(), "\n\n", "\n\n"+strings.Repeat("A", 97)+"\n", 1)), "a line of 97 characters"},
		"armored message":            {[]byte(forge.Armor("MESSAGE", a)), "armored block 1 is a PGP \"MESSAGE\", not a key"},
		"second block broken":        {[]byte(alice.ArmoredPublic() + forge.Armor("PUBLIC KEY BLOCK", a[:9])), "key 0: packet 1"},
		"text after the checksum":    {[]byte(strings.Replace(alice.ArmoredPublic(), "\n-----END", "\n=AAAA\nAAAA\n-----END", 1)), "after its checksum"},
		"keybox cut":                 {box[:len(box)-1], "keybox blob 4 is"},
		"keybox with a blob of zero": {cat(box, make([]byte, 8)), "keybox blob 5 is 0 bytes long"},
		"keybox of no keys":          {forge.Keybox(), "holds no OpenPGP key"},
		"nested signature":           {cat(a, forge.NestedSignature(1)[:1], nestedRevocation()), "nested"},
		"secret packet cut inside":   {tag(5, "\x04\x00\x00\x00\x00\x01"), "secret packet of key 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keyring.Parse(test.raw)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want …%s…", err, test.want)
			}
		})
	}
}

// nestedRevocation is the rest of a packet whose first byte is there already.
func nestedRevocation() []byte {
	packet := forge.NestedSignature(3)
	packet[7] = 0x20
	return packet[1:]
}

func ring(t *testing.T, raw ...[]byte) *keyring.Ring {
	t.Helper()
	r, err := keyring.Parse(cat(raw...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCandidates(t *testing.T) {
	soft := packet.KeySuperseded
	later := forge.Epoch.Add(48 * time.Hour)
	withSub, sub := alice.WithSubkey(forge.SubkeySpec{})
	for name, test := range map[string]struct {
		set     keyring.Set
		id      uint64
		revoked bool
		subkeys int
	}{
		"whole":                                {keyring.Set{{Ring: ring(t, alice.Public())}}, alice.Private.KeyId, false, 0},
		"by subkey":                            {keyring.Set{{Ring: ring(t, withSub.Public())}}, sub.Private.KeyId, false, 1},
		"P20 stale copy first":                 {keyring.Set{{Ring: ring(t, alice.Public(), alice.Revoked(&soft, later).Public())}}, alice.Private.KeyId, true, 0},
		"P20 revoked copy first":               {keyring.Set{{Ring: ring(t, alice.Revoked(&soft, later).Public(), alice.Public())}}, alice.Private.KeyId, true, 0},
		"P20 revoked copy in another ring":     {keyring.Set{{Ring: ring(t, alice.Public())}, {Ring: ring(t, bob.Public(), alice.Revoked(&soft, later).Public())}}, alice.Private.KeyId, true, 0},
		"revocation certificate appended":      {keyring.Set{{Ring: ring(t, withSub.Public(), alice.Revocation(&soft, later))}}, alice.Private.KeyId, true, 1},
		"revocation certificate elsewhere":     {keyring.Set{{Ring: ring(t, alice.Public())}, {Ring: ring(t, bob.Public(), alice.Revocation(&soft, later))}}, alice.Private.KeyId, true, 0},
		"revocation after the user ID":         {keyring.Set{{Ring: ring(t, alice.Public(), alice.Revocation(&soft, later), bob.Public())}}, alice.Private.KeyId, true, 0},
		"somebody else's revocation":           {keyring.Set{{Ring: ring(t, alice.Public(), bob.Revocation(&soft, later))}}, alice.Private.KeyId, false, 0},
		"copies with different subkeys merge":  {keyring.Set{{Ring: ring(t, alice.Public(), withSub.Public())}}, sub.Private.KeyId, false, 1},
		"secret copy, then its public subkeys": {keyring.Set{{Ring: ring(t, alice.Secret(), withSub.Public())}}, sub.Private.KeyId, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			found := test.set.Candidates(test.id)
			if len(found) != 1 {
				t.Fatalf("got %d candidates", len(found))
			}
			e := found[0].Entity
			if got := e.Revoked(later.Add(time.Second)); got != test.revoked {
				t.Errorf("revoked is %t, want %t", got, test.revoked)
			}
			if got := keyring.Fingerprint(e.PrimaryKey.Fingerprint); got != alice.Fingerprint() {
				t.Errorf("got key %s", got)
			}
			if len(e.Subkeys) != test.subkeys {
				t.Errorf("got %d subkeys, want %d", len(e.Subkeys), test.subkeys)
			}
		})
	}
}

func TestNoCandidates(t *testing.T) {
	broken := alice.Public()
	broken[60] ^= 1 // in the user ID packet's own length or text
	set := keyring.Set{{Ring: ring(t, alice.Public())}}
	if got := set.Candidates(bob.Private.KeyId); len(got) > 0 {
		t.Errorf("got %d candidates for a key that is not there", len(got))
	}
	if !set.Holds(alice.Private.Fingerprint) || set.Holds(bob.Private.Fingerprint) {
		t.Error("Holds is wrong")
	}
}

func TestDates(t *testing.T) {
	day := 24 * time.Hour
	at := func(days int) time.Time { return forge.Epoch.Add(time.Duration(days) * day) }
	first := forge.KeySpec{Lifetime: 30 * day}
	key := forge.NewKey(first)
	renewed := key.Renewed(forge.KeySpec{Lifetime: 90 * day, Certified: at(20)})
	for name, test := range map[string]struct {
		key  []byte
		date time.Time
		err  bool
	}{
		"fresh":                             {key.Public(), at(10), false},
		"expired":                           {key.Public(), at(31), true},
		"before it was made":                {key.Public(), at(-1), true},
		"renewed, after":                    {renewed.Public(), at(80), false},
		"renewed, before the renewal":       {renewed.Public(), at(10), false},
		"renewed, before it was made":       {renewed.Public(), at(-1), true},
		"renewed, expired again":            {renewed.Public(), at(91), true},
		"both self-signatures, in between":  {cat(key.Public(), renewed.Public()), at(10), false},
		"both self-signatures, after first": {cat(key.Public(), renewed.Public()), at(40), false},
	} {
		t.Run(name, func(t *testing.T) {
			set := keyring.Set{{Ring: ring(t, test.key)}}
			e := keyring.AsOf(set.Candidates(key.Private.KeyId)[0].Entity, test.date)
			if _, err := e.VerifyPrimaryKey(test.date, nil); (err != nil) != test.err {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The library decides and caches the self-signatures of a key when it is first
// asked, at that date. Ours are decided before.
func TestSharedByGoroutinesAndDates(t *testing.T) {
	whole, sub := forge.NewKey(forge.KeySpec{Lifetime: time.Hour}).WithSubkey(forge.SubkeySpec{})
	set := keyring.Set{{Ring: ring(t, whole.Public())}}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			e := set.Candidates(sub.Private.KeyId)[0].Entity
			date := forge.Epoch.Add(time.Duration(i-50) * time.Hour / 10)
			_, err := e.VerifyPrimaryKey(date, nil)
			_, subErr := e.Subkeys[0].Verify(date, nil)
			if valid := i >= 50 && i <= 60; (err == nil) != valid {
				t.Errorf("%s: %v", date, err)
			}
			if (subErr == nil) != (i >= 50) {
				t.Errorf("subkey at %s: %v", date, subErr)
			}
		})
	}
	all.Wait()
}

func TestParseFingerprint(t *testing.T) {
	for _, good := range []string{alice.Fingerprint(), strings.ToLower(alice.Fingerprint()), carol.Fingerprint(), spaced(alice.Fingerprint()), " " + alice.Fingerprint()} {
		if got, err := keyring.ParseFingerprint(good); err != nil || got != strings.ToUpper(strings.ReplaceAll(good, " ", "")) {
			t.Errorf("%s: %s, %v", good, got, err)
		}
	}
	for _, bad := range []string{"", alice.Fingerprint()[:16], alice.Fingerprint() + "0", "\n" + alice.Fingerprint(), spaced(alice.Fingerprint()[1:]), strings.Repeat(" ", 40), strings.Repeat("x", 40), "0x" + alice.Fingerprint()} {
		if _, err := keyring.ParseFingerprint(bad); err == nil {
			t.Errorf("%q is no fingerprint", bad)
		}
	}
}

// spaced is a fingerprint as gpg shows it.
func spaced(fingerprint string) string {
	var groups []string
	for group := range slices.Chunk([]byte(fingerprint), 4) {
		groups = append(groups, string(group))
	}
	middle := len(groups) / 2
	return strings.Join(groups[:middle], " ") + "  " + strings.Join(groups[middle:], " ")
}

// named is a copy of k's packets under another user ID, signed by k.
func named(k *forge.Key, userID string) []byte {
	named := *k
	named.UserID = userID
	return named.Renewed(forge.KeySpec{Certified: forge.Epoch}).Public()
}

// uncertified is k's key with a user ID and packets that stand for its signature.
func uncertified(k *forge.Key, userID string, signature []byte) []byte {
	return cat(k.Public(), tag(13, userID), signature)
}

// lastPacket is the self-signature of a key without subkeys.
func lastPacket(key []byte) (last []byte) {
	for p := range keyring.Packets(key) {
		last = p.Raw
	}
	return last
}

// disowned is k's revocation of one of its user IDs.
func disowned(t *testing.T, k *forge.Key, userID string, at time.Time) []byte {
	t.Helper()
	sig := &packet.Signature{
		Version: k.Private.Version, SigType: packet.SigTypeCertificationRevocation, PubKeyAlgo: k.Private.PubKeyAlgo,
		Hash: crypto.SHA512, CreationTime: at, IssuerKeyId: &k.Private.KeyId,
	}
	var out bytes.Buffer
	if err := sig.SignUserId(userID, &k.Private.PublicKey, k.Private, nil); err != nil {
		t.Fatal(err)
	}
	if err := sig.Serialize(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Who holds a copy of a key can add user IDs to it; only its owner can sign them.
func TestUserIDs(t *testing.T) {
	const boss = "CEO <ceo@corp.example>"
	later := forge.Epoch.Add(time.Hour)
	byBob := *bob
	byBob.UserID = boss
	for name, test := range map[string]struct {
		key  []byte
		want []string
	}{
		"its own":                             {alice.Public(), []string{alice.UserID}},
		"two of its own":                      {cat(alice.Public(), named(alice, boss)), []string{alice.UserID, boss}},
		"P4 one without a signature":          {uncertified(alice, boss, nil), []string{alice.UserID}},
		"P4 copied self-signature":            {uncertified(alice, boss, lastPacket(alice.Public())), []string{alice.UserID}},
		"P4 signed by another key":            {uncertified(alice, boss, lastPacket(byBob.Renewed(forge.KeySpec{}).Public())), []string{alice.UserID}},
		"P4 revoked":                          {cat(alice.Public(), named(alice, boss), disowned(t, alice, boss, later)), []string{alice.UserID}},
		"P4 revoked by somebody else":         {cat(alice.Public(), named(alice, boss), disowned(t, bob, boss, later)), []string{alice.UserID, boss}},
		"P4 version 6, copied self-signature": {uncertified(carol, boss, lastPacket(carol.Public())), []string{carol.UserID}},
	} {
		t.Run(name, func(t *testing.T) {
			set := keyring.Set{{Ring: ring(t, test.key)}}
			id := alice.Private.KeyId
			if strings.Contains(name, "version 6") {
				id = carol.Private.KeyId
			}
			got := keyring.UserIDs(set.Candidates(id)[0].Entity, later.Add(time.Hour))
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzKeyring(f *testing.F) {
	whole, _ := alice.WithSubkey(forge.SubkeySpec{})
	for _, seed := range [][]byte{
		whole.Public(), carol.Public(), alice.Secret(), []byte(bob.ArmoredPublic()), forge.Keybox(whole.Public(), bob.Public()),
		oldFormat(bob.Public()), alice.Revoked(nil, forge.Epoch).Public(), cat(alice.Public(), forge.NestedSignature(5)),
		cat(alice.Public(), []byte{0xc6, 255, 255, 255, 255, 255, 1}), nil,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := keyring.Parse(raw)
		if (err == nil) != (r != nil) {
			t.Fatalf("ring %v beside error %v", r, err)
		}
		if err != nil {
			return
		}
		if r.Len() == 0 {
			t.Fatal("a ring of no key")
		}
		set := keyring.Set{{Ring: r}}
		for _, k := range []*forge.Key{alice, bob, carol} {
			for _, c := range set.Candidates(k.Private.KeyId) {
				if !r.Holds(c.Entity.PrimaryKey.Fingerprint) {
					t.Errorf("candidate %x is not in the ring", c.Entity.PrimaryKey.Fingerprint)
				}
			}
		}
	})
}

// rings of 1,000 keys each, which differ in their last bytes only.
func manyKeys(key *forge.Key, n int) []byte {
	public := key.Public()
	var ring bytes.Buffer
	for i := range n {
		copied := bytes.Clone(public)
		for p := range keyring.Packets(copied) {
			binary.BigEndian.PutUint32(p.Body[1:], uint32(i)) // when it was made
			break
		}
		ring.Write(copied)
	}
	return ring.Bytes()
}

func BenchmarkParse(b *testing.B) {
	rsa := forge.NewKey(forge.KeySpec{Algorithm: "rsa3072"})
	for name, key := range map[string]*forge.Key{"ed25519": alice, "rsa3072": rsa} {
		raw := manyKeys(key, 1000)
		b.Run(fmt.Sprintf("1000 keys of %s", name), func(b *testing.B) {
			for b.Loop() {
				if _, err := keyring.Parse(raw); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/key")
		})
	}
}

func BenchmarkCandidates(b *testing.B) {
	r, err := keyring.Parse(cat(manyKeys(alice, 1000), alice.Public()))
	if err != nil {
		b.Fatal(err)
	}
	set := keyring.Set{{Ring: r}}
	for b.Loop() {
		if len(set.Candidates(alice.Private.KeyId)) != 1 {
			b.Fatal("not found")
		}
	}
}
