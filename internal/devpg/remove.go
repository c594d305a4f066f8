package devpg

import (
	"fmt"
	"os"
	"path/filepath"
)

// Remove deletes the data that Start keeps for dir, wherever it is. It fails with ErrInUse while a
// server runs on it.
func Remove(dir string) error {
	who, err := runAs()
	if err != nil {
		return fmt.Errorf("devpg: %w", err)
	}
	actual, err := place(dir, who)
	if err != nil {
		return fmt.Errorf("devpg: %w", err)
	}
	unlock, err := lockFile(filepath.Join(actual, "lock"))
	if err != nil {
		return fmt.Errorf("devpg: %w", err)
	}
	defer unlock()
	if err := os.RemoveAll(actual); err != nil {
		return fmt.Errorf("devpg: %w", err)
	}
	return nil
}
