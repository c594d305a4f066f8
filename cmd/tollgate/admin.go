package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tollgate/controlplane"
)

// adminCommand is for whoever runs the server and has its database: it works also where nobody can sign in.
func adminCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "Look after who can sign in, on the server",
		Args:  cobra.NoArgs,
	}
	var at string
	link := &cobra.Command{
		Use:   "link",
		Short: "Print a link by which an owner is set up",
		Long: "Print a link by which whoever opens it becomes an owner, or an owner again, and sets a password: once, and within 24 hours. " +
			"The link is made in the database, which is $" + envPrefix + "DATABASE_URL, or $DATABASE_URL.",
		Example: "  tollgate admin link --url https://gateway.example.com",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := databaseURL()
			if err != nil {
				return err
			}
			made, err := controlplane.SetupLink(cmd.Context(), url, at)
			if err != nil {
				return databaseFailure(err, checkDatabase)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), made)
			return err
		},
	}
	link.Flags().StringVar(&at, "url", "http://localhost:4001", "where browsers reach the control plane")
	cmd.AddCommand(link)
	return cmd
}
