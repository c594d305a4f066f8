package store_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Guarantee: a migration is never edited once it has been checked in, because databases that have
// applied it would not notice. A new one gets a line of its own in migrations.sum.
func TestMigrationsAreNotEdited(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var want strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&want, "%x  %s\n", sha256.Sum256(text), filepath.Base(f))
	}
	got, err := os.ReadFile("migrations/migrations.sum")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Errorf("migrations.sum has\n%sand the files are\n%s", got, want.String())
	}
}
