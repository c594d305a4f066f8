package cli

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/config"
	"tollgate/internal/fault"
)

// maxSecret is the most that a secret may have.
const maxSecret = 65536

func (a *app) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "secret", Aliases: []string{"secrets"}, Short: "Vendor credentials, by name; no command shows one", Args: cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.secretList(), a.secretWrite("create", "Store a credential"), a.secretWrite("rotate", "Replace a credential"), a.secretDelete())
	a.completeNames(cmd, secretNames)
	return cmd
}

func (a *app) secretList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List secrets", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				all, err := pages(func(token string) ([]*controlv1.Secret, string, error) {
					page, err := c.Secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{PageSize: pageSize, PageToken: token})
					return page.GetSecrets(), page.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"NAME", "ENDPOINTS", "ROTATED", "CREATED"}}}
				data := []any{}
				for _, s := range all {
					data, r.names = append(data, view(s)), append(r.names, s.GetName())
					r.table.add(s.GetName(), list(s.GetEndpoints(), "-"), a.when(s.GetUpdateTime()), a.when(s.GetCreateTime()))
				}
				r.data = data
				return a.print(r)
			})
		},
	}
}

// secretWrite is create or rotate, which differ in the call only.
func (a *app) secretWrite(verb, short string) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: verb + " NAME", Short: short + ", read from stdin or a file", Args: exactly("NAME"),
		Example: "  tollgate secret " + verb + " bria < token.txt\n  tollgate secret " + verb + " bria --value-file token.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := a.readSecret(cmd, file)
			if err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				var s *controlv1.Secret
				if verb == "create" {
					res, err := c.Secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: args[0], Value: value.Reveal()})
					if err != nil {
						return err
					}
					s = res.GetSecret()
				} else {
					res, err := c.Secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: args[0], Value: value.Reveal()})
					if err != nil {
						return err
					}
					s = res.GetSecret()
				}
				return a.done(result{data: view(s), names: []string{s.GetName()}}, "", "secret %s %sd; endpoints use it as ${secret:%s}", s.GetName(), verb, s.GetName())
			})
		},
	}
	cmd.Flags().StringVar(&file, "value-file", "", "file that holds the value; stdin if not given")
	return cmd
}

// readSecret takes the value from where it is not kept: no flag, no history, no list of processes.
func (a *app) readSecret(cmd *cobra.Command, file string) (config.Secret, error) {
	var raw []byte
	var err error
	switch {
	case file != "" && file != "-":
		raw, err = os.ReadFile(a.path(file))
	case a.StdinTerminal:
		return "", usage(cmd, "The value is read from a pipe or a file, so that it shows nowhere: %s NAME < FILE.", cmd.CommandPath())
	default:
		raw, err = io.ReadAll(io.LimitReader(a.Stdin, maxSecret+3))
	}
	if err != nil {
		return "", fault.New(fault.InvalidArgument, "The value cannot be read: %v.", err).WithHint("Name another file, or pipe the value to stdin.")
	}
	return secretValue(cmd, raw)
}

// secretValue checks a value that was read.
func secretValue(cmd *cobra.Command, raw []byte) (config.Secret, error) {
	// Editors and echo end a line; the line's end is not part of a credential.
	value := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	switch {
	case value == "":
		return "", usage(cmd, "The value is empty.")
	case len(value) > maxSecret:
		return "", usage(cmd, "The value has more than %d bytes.", maxSecret)
	}
	return config.Secret(value), nil
}

func (a *app) secretDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Remove a credential that no endpoint refers to", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				if _, err := c.Secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: args[0]}); err != nil {
					return err
				}
				return a.done(deleted(args[0]), "", "secret %s deleted", args[0])
			})
		},
	}
}
