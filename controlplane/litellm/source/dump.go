package source

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tollgate/controlplane/litellm"
	"tollgate/controlplane/litellm/store"
	"tollgate/internal/fault"
)

// ReadDump reads what pg_dump wrote as SQL, with COPY or with INSERT, or a folder of a CSV file for each table, with the names of
// columns in its first line.
func ReadDump(name string) (*litellm.Records, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, unreadable(err)
	}
	var tables map[string][]litellm.Row
	if info.IsDir() {
		tables, err = readFolder(name)
	} else {
		tables, err = readFile(name)
	}
	if err == nil {
		var r *litellm.Records
		if r, err = OfTables(filepath.Base(name), tables); err == nil {
			return r, nil
		}
	}
	return nil, unreadable(err)
}

func unreadable(err error) error {
	return fault.New(fault.InvalidArgument, "The dump cannot be read: %v.", err).
		WithHint(`Make it with pg_dump --data-only -t '"LiteLLM_*"' as plain SQL, or name a folder with a CSV file for each table.`)
}

func readFile(name string) (map[string][]litellm.Row, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was read
	return store.ParseDump(f, Tables())
}

func readFolder(name string) (map[string][]litellm.Row, error) {
	tables := map[string][]litellm.Row{}
	for _, table := range Tables() {
		f, err := os.Open(filepath.Join(name, table+".csv"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows, err := parseCSV(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%s.csv: %w", table, err)
		}
		tables[table] = rows
	}
	return tables, nil
}

func parseCSV(r io.Reader) ([]litellm.Row, error) {
	in := csv.NewReader(r)
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("it has no names of columns: %w", err)
	}
	rows := []litellm.Row{}
	for {
		line, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		row := litellm.Row{}
		for i, value := range line {
			if value != "" {
				row[head[i]] = value
			}
		}
		rows = append(rows, row)
	}
}
