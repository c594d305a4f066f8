package secrets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// readFile reads a value from a file in one of the directories. Links that lead out of it are not followed. One line end
// behind the value is left out: it is the editor's.
func readFile(dirs []string, path string) (string, error) {
	for _, dir := range dirs {
		rel, err := filepath.Rel(filepath.Clean(dir), path)
		if err != nil || !filepath.IsLocal(rel) || rel == "." {
			continue
		}
		return readIn(dir, rel, path)
	}
	return "", fmt.Errorf("file %s is in none of the directories that secret_files names on this edge", path)
}

func readIn(dir, rel, path string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("directory %s cannot be opened", dir)
	}
	defer func() { _ = root.Close() }()
	info, err := root.Stat(rel) // before it is opened: a pipe would wait for somebody to write
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no file %s", path)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("this edge may not read file %s", path)
	case err != nil:
		return "", fmt.Errorf("file %s cannot be read, or leads out of its directory", path)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a file", path)
	}
	f, err := root.Open(rel)
	if err != nil {
		return "", fmt.Errorf("this edge may not read file %s", path)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxValue+2))
	if err != nil {
		return "", fmt.Errorf("file %s cannot be read", path)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	switch {
	case len(value) > maxValue:
		return "", fmt.Errorf("file %s is longer than %d bytes", path, maxValue)
	case value == "":
		return "", fmt.Errorf("file %s is empty", path)
	}
	return value, nil
}
