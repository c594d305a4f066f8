package cli

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/cli/contexts"
	"tollgate/internal/config"
	"tollgate/internal/fault"
)

func (a *app) loginCommand() *cobra.Command {
	var from, env string
	cmd := &cobra.Command{
		Use: "login", Short: "Sign in to a control plane", Args: exactly(),
		Long: `Sign in to the control plane of --server or --context: open the address that is shown in a browser, compare the
code and allow it. A token of a program is read from stdin with --token -, so that it stands in no history. The token is kept in the
operating system's keyring, or where there is none in the file of contexts.`,
		Example: `  tollgate login
  tollgate login --token - < token.txt`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from != "" && from != "-" {
				return usage(cmd, "--token takes only -, for stdin: what stands in a command is kept in its history.")
			}
			p, err := a.place()
			if err != nil {
				return err
			}
			if p.Dev != "" {
				p.name = ""
			}
			token, who, err := a.signIn(cmd, p, from != "")
			if err != nil {
				return err
			}
			return a.keep(p, env, token, who)
		},
	}
	cmd.Flags().StringVar(&from, "token", "", "- reads a token from stdin in place of a browser")
	cmd.Flags().StringVar(&env, "env", "", "what the context is for; prod asks before anything is removed")
	return cmd
}

// signIn gets a token and finds out whose it is.
func (a *app) signIn(cmd *cobra.Command, p place, read bool) (token config.Secret, who string, err error) {
	client, err := a.client()
	if err != nil {
		return "", "", err
	}
	if read {
		raw, err := io.ReadAll(io.LimitReader(a.Stdin, maxSecret))
		if err != nil {
			return "", "", err
		}
		if token = config.Secret(strings.TrimSpace(string(raw))); token == "" {
			return "", "", usage(cmd, "Stdin holds no token.")
		}
	} else if token, err = a.deviceSignIn(cmd.Context(), newClients(client, p.Server, a.introduction("")), p.Server); err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	res, err := newClients(client, p.Server, a.introduction(token.Reveal())).account.GetCaller(ctx, &controlv1.GetCallerRequest{})
	return token, callerName(res), err
}

func callerName(res *controlv1.GetCallerResponse) string {
	if p := res.GetPerson(); p != nil {
		return p.GetEmail()
	}
	return "token " + res.GetToken()
}

// deviceSignIn shows a code and waits until somebody allows it in a browser.
func (a *app) deviceSignIn(ctx context.Context, c clients, server string) (config.Secret, error) {
	agent := "tollgate CLI"
	if host, err := os.Hostname(); err == nil {
		agent += " on " + host
	}
	start, err := c.account.StartDeviceSignIn(ctx, &controlv1.StartDeviceSignInRequest{Agent: agent})
	if err != nil {
		return "", err
	}
	page := start.GetUrl()
	if strings.HasPrefix(page, "/") {
		page = strings.TrimRight(server, "/") + page
	}
	a.say("Open %s and allow the code %s.", page, start.GetUserCode())
	if a.Browse != nil && a.StderrTerminal && !a.noInput {
		_ = a.Browse(ctx, page) // the address stands there
	}
	interval := max(time.Second, time.Duration(start.GetIntervalSeconds())*time.Second)
	for {
		if err := a.Pause(ctx, interval); err != nil {
			return "", err
		}
		res, err := c.account.PollDeviceSignIn(ctx, &controlv1.PollDeviceSignInRequest{DeviceCode: start.GetDeviceCode()})
		switch {
		case err == nil:
			return config.Secret(res.GetSecret()), nil
		case connect.CodeOf(err) != connect.CodeFailedPrecondition:
			return "", err
		case start.GetExpireTime() != nil && a.Now().After(start.GetExpireTime().AsTime()):
			return "", fault.New(fault.DeadlineExceeded, "Nobody allowed the code %s in time.", start.GetUserCode()).WithHint("Try again with `%s login`.", a.Program)
		}
	}
}

// keep remembers a token in the context of its server, in the keyring if there is one.
func (a *app) keep(p place, env string, token config.Secret, who string) error {
	f, err := a.loadContexts()
	if err != nil {
		return err
	}
	name := p.name
	if name == "" {
		name = nameFor(f, p.Server)
	}
	c := f.Contexts[name]
	c.Server, c.Gateway, c.Env, c.CAFile = strings.TrimRight(p.Server, "/"), first(c.Gateway, p.Gateway), first(env, c.Env), p.CAFile
	c.Token, c.InRing, c.Dev = token, false, ""
	if a.Keyring != nil {
		if err := a.Keyring.Set(c.Server, token); err == nil {
			c.Token, c.InRing = "", true
		}
	}
	f.Contexts[name] = c
	f.Use(name)
	if err := a.saveContexts(f); err != nil {
		return err
	}
	if !c.InRing {
		a.say("There is no keyring here: the token is kept in %s, which only you can read.", contexts.Path(a.Getenv))
	}
	return a.done(contextResult(name, c), a.Program+" status", "signed in to %s as %s (context %s)", c.Server, who, a.contextName(name, c))
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "End the session of a context and forget its token", Args: exactly(), Example: "  tollgate logout",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.place()
			if err != nil {
				return err
			}
			f, err := a.loadContexts()
			if err != nil {
				return err
			}
			c, ok := f.Contexts[p.name]
			if !ok || c.Token == "" && !c.InRing {
				return fault.New(fault.UnauthenticatedErr, "Nobody is signed in to %s here.", p.Server).WithHint("`tollgate context list` shows the contexts that there are.")
			}
			// A session that is over, or a server that is away, is no reason to keep the token.
			if err := a.with(cmd, func(ctx context.Context, c clients) error {
				_, err := c.account.SignOut(ctx, &controlv1.SignOutRequest{})
				return err
			}); err != nil && a.describe(cmd.Context(), err).exit != ExitDenied {
				a.say("%s the session could not be ended: %s", a.paint(yellow, "!"), err)
			}
			if err := a.forget(c); err != nil {
				return err
			}
			c.Token, c.InRing = "", false
			f.Contexts[p.name] = c
			if err := a.saveContexts(f); err != nil {
				return err
			}
			return a.done(contextResult(p.name, c), "", "signed out of %s", c.Server)
		},
	}
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show as whom commands call the control plane, and what they may do", Args: exactly(), Example: "  tollgate whoami",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.account.GetCaller(ctx, &controlv1.GetCallerRequest{})
				if err != nil {
					return err
				}
				p, err := a.place()
				if err != nil {
					return err
				}
				r := result{data: view(res), names: []string{callerName(res)}}
				r.table.add("who", callerName(res))
				if res.GetPerson() != nil {
					r.table.add("role", roleWord(res.GetPerson().GetRole()))
				}
				r.table.add("may", tokenRights(&controlv1.Token{Permissions: res.GetPermissions()}))
				r.table.add("teams", memberships(res.GetTeams()))
				r.table.add("until", a.when(res.GetExpireTime()))
				r.table.add("server", p.Server)
				r.table.add("context", first(p.name, "-"))
				return a.print(r)
			})
		},
	}
}
