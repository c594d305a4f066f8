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

func (a *app) secrets() noun[*controlv1.Secret] {
	return noun[*controlv1.Secret]{
		name: "secret", plural: "secrets", short: "Vendor credentials, by name; no command shows one", sample: "bria", console: "/secrets",
		columns: []column[*controlv1.Secret]{
			{"NAME", (*controlv1.Secret).GetName, plain},
			{"ENDPOINTS", func(s *controlv1.Secret) string { return list(s.GetEndpoints(), "-") }, plain},
			{"ROTATED", func(s *controlv1.Secret) string { return a.when(s.GetUpdateTime()) }, plain},
			{"CREATED", func(s *controlv1.Secret) string { return a.when(s.GetCreateTime()) }, plain},
			{"ID", (*controlv1.Secret).GetId, wide},
			{"VALUE", secretValueFrom, wide},
			{"VERSION", func(s *controlv1.Secret) string { return count(s.GetVersion()) }, rightWide},
			{"MODELS", func(s *controlv1.Secret) string { return list(s.GetModels(), "-") }, wide},
			{"ADAPTERS", func(s *controlv1.Secret) string { return list(s.GetAdapters(), "-") }, wide},
			{"MANAGED BY", func(s *controlv1.Secret) string { return first(s.GetManagedBy(), "-") }, wide},
		},
		id: (*controlv1.Secret).GetName,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Secret, string, error) {
			page, err := c.Secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter, OrderBy: q.order})
			return page.GetSecrets(), page.GetNextPageToken(), err
		},
		filters: "used:no", ordered: true,
		empty: "There are no secrets. Make one with `%s secret create`.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.Secret, error) {
			res, err := c.Secrets.GetSecret(ctx, &controlv1.GetSecretRequest{Secret: name})
			return res.GetSecret(), err
		},
		details: func(t *table, s *controlv1.Secret) {
			t.add("name", s.GetName())
			t.add("id", s.GetId())
			t.add("for", first(s.GetDescription(), "-"))
			t.add("value", secretValueFrom(s))
			t.add("version", count(s.GetVersion()))
			t.add("endpoints", list(s.GetEndpoints(), "-"))
			t.add("models", list(s.GetModels(), "-"))
			t.add("adapters", list(s.GetAdapters(), "-"))
			t.add("rotated", a.when(s.GetUpdateTime()))
			if s.GetRollbackEndTime() != nil {
				t.add("rollback until", a.when(s.GetRollbackEndTime()))
			}
			addManaged(t, s.GetManagedBy())
			t.add("created", a.when(s.GetCreateTime()))
		},
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.Secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: name})
			return err
		},
	}
}

// secretValueFrom says where the value is, never which one it is.
func secretValueFrom(s *controlv1.Secret) string { return first(s.GetReference(), "stored") }

func (a *app) secretCommand() *cobra.Command {
	n := a.secrets()
	return n.command(a, a.secretCreate(n), a.secretRotate(n), a.secretSet(n), a.secretRollback(n), a.secretRefs())
}

func (a *app) secretCreate(n noun[*controlv1.Secret]) *cobra.Command {
	var file, reference, description string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Store a credential, read from stdin, a file or a hidden prompt, or say where edges find it", Args: exactly("NAME"),
		Example: `  tollgate secret create cohere < token.txt
  tollgate secret create cohere --value-file token.txt
  tollgate secret create cohere --reference vault:kv/cohere#token`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := exclusive(cmd, "value-file", "reference"); err != nil {
				return err
			}
			req := &controlv1.CreateSecretRequest{Name: args[0], Reference: reference, Description: description}
			if reference == "" {
				value, err := a.readSecret(cmd, file)
				if err != nil {
					return err
				}
				req.Value = value.Reveal()
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Secrets.CreateSecret(ctx, req)
				if err != nil {
					return err
				}
				name := res.GetSecret().GetName()
				return a.done(n.result(res.GetSecret()), "", "secret %s created; endpoints use it as ${secret:%s}", name, name)
			})
		},
	}
	cmd.Flags().StringVar(&file, "value-file", "", "file that holds the value; stdin if not given")
	cmd.Flags().StringVar(&reference, "reference", "", "where each edge finds the value: env:NAME, file:/path or vault:MOUNT/PATH#FIELD")
	cmd.Flags().StringVar(&description, "description", "", "what it is for")
	a.writes(cmd)
	return cmd
}

func (a *app) secretRotate(n noun[*controlv1.Secret]) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Replace a credential, read from stdin, a file or a hidden prompt", Args: exactly("NAME"),
		Example: "  tollgate secret rotate bria < token.txt\n  tollgate secret rotate bria --value-file token.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := a.readSecret(cmd, file)
			if err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: args[0], Value: value.Reveal()})
				if err != nil {
					return err
				}
				s, next := res.GetSecret(), ""
				if s.GetRollbackEndTime() != nil {
					next = a.Program + " secret rollback " + s.GetName() + "   # if the new one does not work"
				}
				return a.done(n.result(s), next, "secret %s rotated; endpoints use it as ${secret:%s}", s.GetName(), s.GetName())
			})
		},
	}
	cmd.Flags().StringVar(&file, "value-file", "", "file that holds the value; stdin if not given")
	a.writes(cmd)
	return cmd
}

func (a *app) secretSet(n noun[*controlv1.Secret]) *cobra.Command {
	var reference, description string
	cmd := &cobra.Command{
		Use: "set NAME", Aliases: []string{"update"}, Short: "Change what a secret is for, or where edges find it", Args: exactly("NAME"),
		Long:    "Change what a secret is for, or where edges find it. A stored value that becomes a reference is gone.",
		Example: "  tollgate secret set bria --description 'the account of the design team'",
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &controlv1.UpdateSecretRequest{Secret: args[0]}
			if cmd.Flags().Changed("description") {
				req.Description = new(description)
			}
			if cmd.Flags().Changed("reference") {
				req.Reference = new(reference)
			}
			if req.Description == nil && req.Reference == nil {
				return usage(cmd, "Say what to change with --description or --reference.")
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Secrets.UpdateSecret(ctx, req)
				if err != nil {
					return err
				}
				s := res.GetSecret()
				return a.done(n.result(s), "", "secret %s changed (rev %d)", s.GetName(), s.GetRevision())
			})
		},
	}
	cmd.Flags().StringVar(&reference, "reference", "", "where each edge finds the value: env:NAME, file:/path or vault:MOUNT/PATH#FIELD")
	cmd.Flags().StringVar(&description, "description", "", "what it is for")
	a.writes(cmd)
	return cmd
}

func (a *app) secretRollback(n noun[*controlv1.Secret]) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rollback NAME", Short: "Bring the value back that a secret had before it was last rotated, within 24 hours", Args: exactly("NAME"),
		Example: "  tollgate secret rollback bria",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Secrets.RollbackSecret(ctx, &controlv1.RollbackSecretRequest{Secret: args[0]})
				if err != nil {
					return err
				}
				s := res.GetSecret()
				return a.done(n.result(s), "", "secret %s has its earlier value again (version %d)", s.GetName(), s.GetVersion())
			})
		},
	}
	a.destroys(cmd)
	return cmd
}

func (a *app) secretRefs() *cobra.Command {
	return &cobra.Command{
		Use: "refs NAME", Short: "Show what uses a secret, and which edges can read it", Args: exactly("NAME"), Example: "  tollgate secret refs bria",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Secrets.ListSecretReferences(ctx, &controlv1.ListSecretReferencesRequest{Secret: args[0]})
				if err != nil {
					return err
				}
				r := result{data: view(res), table: table{head: []string{"KIND", "NAME", "WHERE"}}}
				for _, u := range res.GetReferences() {
					r.names = append(r.names, u.GetKind()+"/"+u.GetName())
					r.table.add(u.GetKind(), u.GetName(), u.GetField())
				}
				if err := a.print(r); err != nil {
					return err
				}
				if len(res.GetReferences()) == 0 {
					a.say("Nothing uses it.")
				}
				for _, e := range res.GetNodes() {
					if !e.GetResolved() {
						a.say("%s edge %s cannot read it: %s", a.paint(yellow, "!"), e.GetNode(), e.GetError())
					}
				}
				return nil
			})
		},
	}
}

// readSecret takes the value from where it is not kept: no flag, no history, no list of processes.
func (a *app) readSecret(cmd *cobra.Command, file string) (config.Secret, error) {
	var raw []byte
	var err error
	switch {
	case file != "" && file != "-":
		raw, err = os.ReadFile(a.path(file))
	case a.StdinTerminal && a.Password != nil && !a.noInput:
		raw, err = a.Password("Value: ")
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
