// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const configFile = "chartseal.yaml"

// Keys are those of the story: two of the web team, one of which was stolen
// and revoked, and one of somebody else with the same user ID.
type keys struct {
	team, stolen, stranger *openpgp.Entity
}

func makeKeys() (keys, error) {
	var made [3]*openpgp.Entity
	for i := range made {
		entity, err := openpgp.NewEntity("Web Team", "", "web-team@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
		if err != nil {
			return keys{}, err
		}
		made[i] = entity
	}
	return keys{team: made[0], stolen: made[1], stranger: made[2]}, nil
}

// ring is the team's public keyring. The stolen key is in it, with its
// revocation, as it is in the keyrings of real teams.
func (k keys) ring() ([]byte, error) {
	if err := k.stolen.RevokeKey(packet.KeyCompromised, "the laptop was stolen", nil); err != nil {
		return nil, err
	}
	var ring bytes.Buffer
	for _, entity := range []*openpgp.Entity{k.team, k.stolen} {
		if err := entity.Serialize(&ring); err != nil {
			return nil, err
		}
	}
	return ring.Bytes(), nil
}

//go:embed policy
var policy embed.FS

// writeTrust leaves what the chartseal command is started with: the policy,
// the trust store and the configuration.
func writeTrust(dir, host string, k keys, signers *sigstore) error {
	ring, err := k.ring()
	if err != nil {
		return err
	}
	config := fmt.Sprintf("trust:\n  directory: trust\nregistries:\n- host: %s\n  insecure: true # loopback has no certificate\n", host)
	files := map[string][]byte{
		configFile:                    []byte(config),
		"trust/keyrings/web-team.gpg": ring,
		"trust/keys/release.pub":      signers.release.PublicKey(),
		"trust/roots/demo.json":       signers.Root(),
		"pub.gpg":                     ring,
	}
	for name, content := range files {
		if err := write(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return os.CopyFS(dir, policy)
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
