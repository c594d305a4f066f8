package check

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// root is the folder of the repository, from which the image is built.
const root = "../.."

var mainPackage = regexp.MustCompile(`\./(cmd/[a-z]+)\b`)

// checkDockerfile: BuildKit accepts it without a warning, what it copies comes from a stage that
// there is, and what runs in the end is on an empty base and not root.
func checkDockerfile(t *testing.T, dir string) error {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
	if err != nil {
		return err
	}
	ast, err := parser.Parse(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	var warnings []string
	for _, w := range ast.Warnings {
		warnings = append(warnings, w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) {
		warnings = append(warnings, rule+": "+message)
	}})
	stages, _, err := instructions.Parse(ast.AST, lint)
	if err != nil {
		return err
	}
	if len(warnings) > 0 {
		return fmt.Errorf("warnings: %s", strings.Join(warnings, "; "))
	}
	var names []string
	for _, stage := range stages {
		for _, c := range stage.Commands {
			from, ok := c.(*instructions.CopyCommand)
			if ok && from.From != "" && !slices.Contains(names, from.From) {
				return fmt.Errorf("COPY from %s, which is no stage before it (%v)", from.From, names)
			}
		}
		names = append(names, stage.Name)
	}
	for _, m := range mainPackage.FindAllSubmatch(raw, -1) {
		if _, err := os.Stat(filepath.Join(root, string(m[1]))); err != nil {
			return fmt.Errorf("it builds a package that there is not: %w", err)
		}
	}
	last := stages[len(stages)-1]
	isUser := slices.ContainsFunc(last.Commands, func(c instructions.Command) bool {
		u, ok := c.(*instructions.UserCommand)
		return ok && u.User != "root" && !strings.HasPrefix(u.User, "0")
	})
	if last.BaseName != "scratch" || !isUser {
		return fmt.Errorf("the image is based on %s and its user may be root; want scratch and another user", last.BaseName)
	}
	return nil
}

var deployPath = regexp.MustCompile(`\bdeploy/[\w./-]*\w`)

// checkReadme: the files that it names exist, but for the one that it says to make.
func checkReadme(t *testing.T, dir string) error {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		return err
	}
	for _, path := range deployPath.FindAllString(string(raw), -1) {
		if path == "deploy/.env" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, strings.TrimPrefix(path, "deploy/"))); err != nil {
			return fmt.Errorf("README.md names %s: %w", path, err)
		}
	}
	return nil
}
