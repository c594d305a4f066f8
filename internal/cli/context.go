package cli

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/internal/cli/contexts"
	"tollgate/internal/fault"
)

// loadContexts reads the file of contexts.
func (a *app) loadContexts() (contexts.File, error) {
	path := contexts.Path(a.Getenv)
	f, err := contexts.Load(path)
	if err != nil {
		return f, fault.New(fault.InvalidArgument, "The contexts in %s cannot be read: %v.", path, err).WithHint("Correct the file, or name another with TOLLGATE_CONFIG.")
	}
	return f, nil
}

func (a *app) saveContexts(f contexts.File) error {
	if err := contexts.Save(contexts.Path(a.Getenv), f); err != nil {
		return fault.New(fault.InvalidArgument, "The contexts cannot be written: %v.", err).WithHint("Name a file that can be written with TOLLGATE_CONFIG.")
	}
	a.found = nil
	return nil
}

func noContext(name string) error {
	return fault.New(fault.ObjectNotFound, "There is no context %s.", name).WithHint("`tollgate context list` shows those that there are.")
}

func (a *app) contextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "context", Aliases: []string{"contexts", "ctx"}, Short: "Which control planes you work with, and which one now", Args: cobra.ArbitraryArgs,
		Long: "Which control planes you work with, and which one now. `ctx -` goes back to the one before.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" {
				return a.useContext("-")
			}
			return group(cmd, args)
		},
	}
	use := &cobra.Command{
		Use: "use NAME", Short: "Work in a context from now on; - is the one before", Args: exactly("NAME"), Example: "  tollgate context use home\n  tollgate context use -",
		RunE: func(_ *cobra.Command, args []string) error { return a.useContext(args[0]) },
	}
	remove := a.contextRemove()
	cmd.AddCommand(a.contextAdd(), a.contextList(), use, a.contextRename(), remove, a.contextCurrent())
	use.ValidArgsFunction, remove.ValidArgsFunction = a.contextNames, a.contextNames
	return cmd
}

func (a *app) useContext(name string) error {
	f, err := a.loadContexts()
	if err != nil {
		return err
	}
	if name == "-" {
		if name = f.Previous; name == "" {
			return fault.New(fault.ObjectNotFound, "There is no context before this one.").WithHint("Name one: `tollgate context use NAME`.")
		}
	}
	if _, ok := f.Contexts[name]; !ok {
		return noContext(name)
	}
	f.Use(name)
	if err := a.saveContexts(f); err != nil {
		return err
	}
	return a.done(contextResult(name, f.Contexts[name]), "", "context %s: %s", a.contextName(name, f.Contexts[name]), contextServer(f.Contexts[name]))
}

// contextName is coloured where mistakes are dear.
func (a *app) contextName(name string, c contexts.Context) string {
	if c.Env == contexts.Production {
		return a.paint(red, name+" (production)")
	}
	return name
}

func contextServer(c contexts.Context) string {
	if c.Dev != "" {
		return "tollgate dev in " + c.Dev
	}
	return c.Server
}

func contextResult(name string, c contexts.Context) result {
	data := &object{}
	data.set("name", name)
	data.set("server", c.Server)
	for _, field := range [][2]string{{"gateway", c.Gateway}, {"caFile", c.CAFile}, {"env", c.Env}, {"dev", c.Dev}} {
		if field[1] != "" {
			data.set(field[0], field[1])
		}
	}
	return result{data: data, names: []string{name}}
}

func (a *app) contextAdd() *cobra.Command {
	var c contexts.Context
	var use bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Remember a control plane", Args: exactly("NAME"),
		Long: "Remember the control plane of --server under a name. `login` signs in to it.",
		Example: `  tollgate context add live --server https://tollgate.example --env prod
  tollgate context add lab --server https://10.0.0.5:4001 --use`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := contexts.CheckName(args[0]); err != nil {
				return usage(cmd, "%s.", err)
			}
			c.Server = strings.TrimRight(a.server, "/")
			if c.Server == "" {
				return usage(cmd, "--server is missing.")
			}
			if err := contexts.CheckServer(c.Server); err != nil {
				return usage(cmd, "Context %s: %s.", args[0], err)
			}
			if a.caFile != "" {
				path, err := filepath.Abs(a.path(a.caFile))
				if err != nil {
					return err
				}
				if _, err := authorities(path); err != nil {
					return usage(cmd, "--ca-file: %s.", err)
				}
				c.CAFile = path
			}
			f, err := a.loadContexts()
			if err != nil {
				return err
			}
			if _, taken := f.Contexts[args[0]]; taken {
				return fault.New(fault.AlreadyExists, "There is a context %s already.", args[0]).WithHint("Remove it first, or choose another name.")
			}
			f.Contexts[args[0]] = c
			if use || f.Current == "" {
				f.Use(args[0])
			}
			if err := a.saveContexts(f); err != nil {
				return err
			}
			return a.done(contextResult(args[0], c), fmt.Sprintf("%s login --context %s", a.Program, args[0]), "context %s added: %s", a.contextName(args[0], c), c.Server)
		},
	}
	cmd.Flags().StringVar(&c.Gateway, "gateway", "", "URL of the gateway, for try")
	cmd.Flags().StringVar(&c.Env, "env", "", "what it is for; prod asks before anything is removed")
	cmd.Flags().BoolVar(&use, "use", false, "work in it from now on")
	return cmd
}

func (a *app) contextList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List contexts", Args: exactly(), Example: "  tollgate context list",
		RunE: func(*cobra.Command, []string) error {
			f, err := a.loadContexts()
			if err != nil {
				return err
			}
			r := result{table: table{head: []string{"NAME", "CURRENT", "SERVER", "ENV", "GATEWAY", "CA FILE"}, wide: []string{"GATEWAY", "CA FILE"}}}
			data := []any{}
			for _, name := range f.Names() {
				c, current := f.Contexts[name], ""
				if name == f.Current {
					current = "*"
				}
				data, r.names = append(data, contextResult(name, c).data), append(r.names, name)
				r.table.add(name, current, contextServer(c), first(c.Env, "-"), first(c.Gateway, "-"), first(c.CAFile, "-"))
			}
			r.data = data
			if len(data) == 0 {
				a.say("There are no contexts. Make one with `%s login --server URL`.", a.Program)
			}
			return a.print(r)
		},
	}
}

func (a *app) contextRename() *cobra.Command {
	return &cobra.Command{
		Use: "rename NAME NEW", Short: "Give a context another name", Args: exactly("NAME", "NEW"), Example: "  tollgate context rename home away",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.loadContexts()
			if err != nil {
				return err
			}
			if err := contexts.CheckName(args[1]); err != nil {
				return usage(cmd, "%s.", err)
			}
			if _, ok := f.Contexts[args[0]]; !ok {
				return noContext(args[0])
			}
			if _, taken := f.Contexts[args[1]]; taken {
				return fault.New(fault.AlreadyExists, "There is a context %s already.", args[1]).WithHint("Choose another name.")
			}
			f.Rename(args[0], args[1])
			if err := a.saveContexts(f); err != nil {
				return err
			}
			return a.done(contextResult(args[1], f.Contexts[args[1]]), "", "context %s is called %s", args[0], args[1])
		},
	}
}

func (a *app) contextRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm", "delete"}, Short: "Forget a context and its token", Args: exactly("NAME"), Example: "  tollgate context remove home",
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := a.loadContexts()
			if err != nil {
				return err
			}
			c, ok := f.Contexts[args[0]]
			if !ok {
				return noContext(args[0])
			}
			if err := a.forget(c); err != nil {
				return err
			}
			f.Remove(args[0])
			if err := a.saveContexts(f); err != nil {
				return err
			}
			return a.done(deleted(args[0]), "", "context %s removed", args[0])
		},
	}
}

// forget takes a context's token out of the keyring.
func (a *app) forget(c contexts.Context) error {
	if !c.InRing || a.Keyring == nil {
		return nil
	}
	if err := a.Keyring.Delete(c.Server); err != nil {
		return fault.New(fault.FailedPrecondition, "The keyring does not give up the token: %v.", err).WithHint("Unlock the keyring and try again.")
	}
	return nil
}

func (a *app) contextCurrent() *cobra.Command {
	return &cobra.Command{
		Use: "current", Short: "Show which context commands work in, here and now", Args: exactly(), Example: "  tollgate context current",
		RunE: func(*cobra.Command, []string) error {
			p, err := a.place()
			if err != nil {
				return err
			}
			r := contextResult(p.name, p.Context)
			r.table.add("context", first(p.name, "-"))
			r.table.add("server", p.Server)
			if p.Env != "" {
				r.table.add("env", p.Env)
			}
			return a.print(r)
		},
	}
}

// nameFor is a name for the context of a server: the host's, and a number where that is taken by another.
func nameFor(f contexts.File, server string) string {
	name := "default"
	if u, err := url.Parse(server); err == nil && u.Hostname() != "" {
		name = strings.Trim(strings.ReplaceAll(u.Hostname(), ":", "-"), "-.")
	}
	for i, candidate := 2, name; ; i++ {
		if c, taken := f.Contexts[candidate]; !taken || sameURL(c.Server, server) {
			return candidate
		}
		candidate = fmt.Sprintf("%s-%d", name, i)
	}
}
