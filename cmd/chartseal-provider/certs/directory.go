// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// writeDirectory makes a CA and a serving certificate for use without a
// cluster, and gives the bundle. The CA's key is not kept: who wants another
// certificate makes another CA.
func writeDirectory(dir string, policy Policy) ([]byte, error) {
	step, err := policy.Advance(time.Now(), nil, nil)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return step.Bundle, errors.Join(
		replaceFile(filepath.Join(dir, servingKey), step.Data[servingKey], 0o600),
		replaceFile(filepath.Join(dir, servingCert), step.Data[servingCert], 0o644),
		replaceFile(filepath.Join(dir, caCert), step.Data[caCert], 0o644),
	)
}

// replaceFile writes a file in one step. It is of its mode from the beginning,
// whatever an older one was.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone once it is renamed
	_, err = file.Write(content)
	if err := errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
