package cli

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"tollgate/internal/fault"
)

// noun is a kind of thing that is listed, shown, completed and removed as all others are. What is nil cannot be done.
type noun[T proto.Message] struct {
	name    string // "team"
	plural  string // "teams"
	things  string // what they are called in sentences, where that is not the plural
	aliases []string
	short   string // what it is
	arg     string // what commands call the name of one; NAME if empty
	sample  string // name of one, for examples
	console string // path of its page in the console, below which each of them has one; empty for none

	columns []column[T]
	id      func(T) string // what -o name prints, and what commands take
	view    func(T) any    // for json and yaml; all that the schema has if nil
	page    func(ctx context.Context, c clients, q query) (items []T, next string, err error)
	filters string // an example of --filter; empty where lists have none
	ordered bool   // whether lists can be sorted
	most    int    // how many are listed unless told otherwise; 0 for all
	empty   string // what to do where there is none; %s is the program
	note    func(T)
	get     func(ctx context.Context, c clients, name string) (T, error)
	details func(t *table, one T)
	finish  func(ctx context.Context, c clients, one T, r *result) error // what is known beyond the thing itself
	remove  func(ctx context.Context, c clients, name string) error
}

// column is one of a table.
type column[T any] struct {
	head string
	cell func(T) string
	kind columnKind
}

type columnKind int

const (
	plain     columnKind = iota
	right                // aligned to the right
	wide                 // not in narrow tables
	rightWide            // both
)

// query is what a list is asked for.
type query struct {
	size          int32
	token         string
	filter, order string
}

// command is the command of a noun, with the verbs that all have and those given.
func (n noun[T]) command(a *app, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: n.name, Aliases: append([]string{n.plural}, n.aliases...), Short: n.short, Args: cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(n.list(a))
	if n.get != nil {
		cmd.AddCommand(n.show(a))
	}
	if n.remove != nil {
		cmd.AddCommand(n.delete(a))
	}
	cmd.AddCommand(verbs...)
	a.completeNames(cmd, n.names)
	return cmd
}

// names are those that a shell completes.
func (n noun[T]) names(ctx context.Context, c clients) ([]string, error) {
	all, _, err := n.page(ctx, c, query{size: pageSize})
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = n.id(one)
	}
	return names, err
}

func (n noun[T]) data(one T) any {
	if n.view != nil {
		return n.view(one)
	}
	return view(one)
}

// result is one of them in the forms for programs.
func (n noun[T]) result(one T) result {
	return result{data: n.data(one), names: []string{n.id(one)}}
}

// table is several of them for people.
func (n noun[T]) table(all []T) result {
	var r result
	data := []any{}
	for _, c := range n.columns {
		r.table.head = append(r.table.head, c.head)
		if c.kind == right || c.kind == rightWide {
			r.table.right = append(r.table.right, c.head)
		}
		if c.kind == wide || c.kind == rightWide {
			r.table.wide = append(r.table.wide, c.head)
		}
	}
	for _, one := range all {
		data, r.names = append(data, n.data(one)), append(r.names, n.id(one))
		cells := make([]string, len(n.columns))
		for i, c := range n.columns {
			cells[i] = c.cell(one)
		}
		r.table.add(cells...)
	}
	r.data = data
	return r
}

func (n noun[T]) list(a *app) *cobra.Command {
	var q query
	most := n.most
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List " + first(n.things, n.plural), Args: exactly(), Example: n.listExamples(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.web {
				return a.browse(cmd, n.console)
			}
			if most < 0 {
				return usage(cmd, "--limit is %d, which is less than none.", most)
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				all, more, err := pages(most, func(size int32, token string) ([]T, string, error) {
					q.size, q.token = size, token
					return n.page(ctx, c, q)
				})
				if err != nil {
					return err
				}
				if err := a.print(n.table(all)); err != nil {
					return err
				}
				for _, one := range all {
					if n.note != nil {
						n.note(one)
					}
				}
				switch {
				case more:
					a.say("There are more: raise --limit, or 0 for all.")
				case len(all) == 0 && q.filter != "":
					a.say("Nothing matches.")
				case len(all) == 0 && n.empty != "":
					a.say(n.empty, a.Program)
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&most, "limit", n.most, "how many at most; 0 for all")
	if n.filters != "" {
		flags.StringVar(&q.filter, "filter", "", "which, such as '"+n.filters+"'; see `tollgate help filters`")
	}
	if n.ordered {
		flags.StringVar(&q.order, "sort", "", "field to sort by, such as name or -create_time")
	}
	if n.console != "" {
		a.reads(cmd)
	}
	return cmd
}

func (n noun[T]) listExamples() string {
	lines := []string{"  tollgate " + n.name + " list"}
	if n.filters != "" {
		lines = append(lines, "  tollgate "+n.name+" list --filter '"+n.filters+"' -o wide")
	}
	return strings.Join(lines, "\n")
}

func (n noun[T]) show(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "get " + n.argument(), Aliases: []string{"show"}, Short: "Show " + withArticle(n.name), Args: exactly(n.argument()),
		Example: "  tollgate " + n.name + " get " + n.sample + "\n  tollgate " + n.name + " get " + n.sample + " -o yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.web {
				return a.browse(cmd, n.console+"/"+url.PathEscape(args[0]))
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				one, err := n.get(ctx, c, args[0])
				if err != nil {
					return err
				}
				r := n.result(one)
				n.details(&r.table, one)
				// What the thing is is shown even where what is known beyond that cannot be read.
				var late error
				if n.finish != nil {
					late = n.finish(ctx, c, one, &r)
				}
				if err := a.print(r); err != nil {
					return err
				}
				return late
			})
		},
	}
	if n.console != "" {
		a.reads(cmd)
	}
	return cmd
}

func (n noun[T]) delete(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete " + n.argument(), Aliases: []string{"rm"}, Short: "Remove " + withArticle(n.name), Args: exactly(n.argument()),
		Example: "  tollgate " + n.name + " delete " + n.sample,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				if err := n.remove(ctx, c, args[0]); err != nil {
					return err
				}
				return a.done(deleted(args[0]), "", "%s %s deleted", n.name, args[0])
			})
		},
	}
	a.destroys(cmd)
	return cmd
}

// argument is what commands call the name of one.
func (n noun[T]) argument() string { return first(n.arg, "NAME") }

func withArticle(name string) string {
	if strings.ContainsAny(name[:1], "aeiou") {
		return "an " + name
	}
	return "a " + name
}

// browse opens a page of the console, and prints its address where there is no browser to be seen.
func (a *app) browse(cmd *cobra.Command, path string) error {
	p, err := a.place()
	if err != nil {
		return err
	}
	page := strings.TrimRight(p.Server, "/") + path
	if a.Browse == nil || !a.StdoutTerminal || !a.forPeople() {
		data := &object{}
		data.set("url", page)
		r := result{data: data, names: []string{page}}
		r.table.add(page)
		return a.print(r)
	}
	a.say("Opening %s", page)
	if err := a.Browse(cmd.Context(), page); err != nil {
		return fault.New(fault.UnavailableErr, "No browser could be opened: %v.", err).WithHint("Open %s yourself.", page)
	}
	return nil
}
