// Package gobuild builds programs of this repository for whoever starts them as processes of their own: tests, and measurements. They
// are built as releases are, so that what is tried is what is shipped, and what the compiler has made once is used by all. It is
// not for the product, which builds nothing.
package gobuild

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// Tollgate is the package of the product's binary.
const Tollgate = "tollgate/cmd/tollgate"

// Build makes a program of a package, at a path. Flags are further ones of go build. The error has what the compiler said.
func Build(ctx context.Context, path, pkg string, flags ...string) error {
	args := slices.Concat([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", path}, flags, []string{pkg})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return nil
}
