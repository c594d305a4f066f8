package cli

import (
	"context"
	"net/url"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
)

// browse opens an address in the browser of whoever sits at this machine.
func browse(ctx context.Context, address string) error {
	program, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		program = "open"
	case "windows":
		program, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	return exec.CommandContext(ctx, program, args...).Run()
}

// pagesOf are the pages of the console, by the nouns that they show.
var pagesOf = map[string]string{
	"endpoint": "/endpoints", "model": "/models", "key": "/keys", "team": "/teams", "customer": "/customers", "budget": "/budgets",
	"limit": "/limits", "secret": "/secrets", "edge": "/edges", "request": "/requests", "usage": "/usage", "audit": "/audit",
	"settings": "/settings", "person": "/settings/people", "token": "/settings/tokens",
}

func (a *app) openCommand() *cobra.Command {
	return &cobra.Command{
		Use: "open [KIND[/NAME]]", Short: "Open the console, or the page of a thing in it", Args: cobra.MaximumNArgs(1),
		Example: "  tollgate open\n  tollgate open endpoint/bria\n  tollgate open usage",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			kinds := make([]string, 0, len(pagesOf))
			for kind := range pagesOf {
				kinds = append(kinds, kind)
			}
			return kinds, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.browse(cmd, "/")
			}
			kind, name, _ := strings.Cut(args[0], "/")
			page, ok := pagesOf[kind]
			if !ok {
				page, ok = pagesOf[strings.TrimSuffix(kind, "s")]
			}
			if !ok {
				return usage(cmd, "The console has no page of %q. Name a kind, such as endpoint, or a thing, such as endpoint/bria.", kind)
			}
			if name != "" {
				page += "/" + url.PathEscape(name)
			}
			return a.browse(cmd, page)
		},
	}
}
