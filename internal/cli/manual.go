package cli

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"tollgate/internal/fault"
	"tollgate/internal/telemetry"
)

// manCommand writes manual pages, for packages.
func (a *app) manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "man", Short: "Write manual pages", Hidden: true, Args: exactly(), Example: "  tollgate man --dir man1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Title: "TOLLGATE", Section: "1", Source: "tollgate " + telemetry.Version()}
			if dir == "" {
				return doc.GenMan(root, header, a.Stdout)
			}
			path := a.path(dir)
			if err := os.MkdirAll(path, 0o750); err != nil {
				return fault.New(fault.InvalidArgument, "The folder cannot be made: %v.", err).WithHint("Name another with --dir.")
			}
			return doc.GenManTree(root, header, path)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder for a page of each command; without, that of tollgate goes to stdout")
	return cmd
}
