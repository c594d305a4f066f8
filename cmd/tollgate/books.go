package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/cli"
	"tollgate/internal/cli/localdev"
	"tollgate/internal/fault"
	"tollgate/internal/money"
	"tollgate/internal/pg"
	"tollgate/ledger/audit"
	"tollgate/ledger/escrow"
	"tollgate/ledger/store"
)

// databaseURL is where the commands find the database that go to it themselves.
func databaseURL() (string, error) {
	for _, name := range []string{envPrefix + "DATABASE_URL", "DATABASE_URL"} {
		if url := os.Getenv(name); url != "" {
			return url, nil
		}
	}
	return "", fault.New(fault.InvalidArgument, "No database is named.").
		WithHint("Set %sDATABASE_URL, as postgres://user:password@host:5432/name.", envPrefix)
}

const checkDatabase = "Check " + envPrefix + "DATABASE_URL, and that the server runs."

// directly ends the help of commands that go to the database.
const directly = "\n\nIt goes to the database itself, with what `tollgate migrate` and the ledger use: $" + envPrefix +
	"DATABASE_URL, or $DATABASE_URL. Below the folder of a running `tollgate dev`, neither is needed. Ledgers may go on working meanwhile."

// booksDatabase is where the books are: as databaseURL says, or with the `tollgate dev` whose folder this is
// or is below. The hint says what to do when it cannot be reached.
func booksDatabase() (url, hint string, err error) {
	url, unnamed := databaseURL()
	if unnamed == nil {
		return url, checkDatabase, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", "", unnamed
	}
	note, path, err := localdev.Load(dir)
	if err != nil {
		return "", "", fault.New(fault.InvalidArgument, "The note of `tollgate dev` cannot be used: %v.", err).
			WithHint("Delete %s; the next `tollgate dev` writes a new one.", path)
	}
	if note.Database == "" {
		return "", "", fault.From(unnamed).WithHint("Set %sDATABASE_URL, as postgres://user:password@host:5432/name, or go to the folder of a running `tollgate dev`.", envPrefix)
	}
	return note.Database, "It is that of the `tollgate dev` in " + filepath.Dir(filepath.Dir(path)) + ", and runs only while that does.", nil
}

// withBooks runs f on the ledger's store.
func withBooks(cmd *cobra.Command, f func(context.Context, *store.Store) error) error {
	url, hint, err := booksDatabase()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	pool, err := pg.Open(ctx, url, 2)
	if err != nil {
		return fault.New(fault.InvalidArgument, "The database cannot be opened (%v).", err).WithHint("%s", hint)
	}
	defer pool.Close()
	db := store.New(pool)
	err = db.CheckSchema(ctx)
	if behind, ok := errors.AsType[*pg.BehindError](err); ok {
		return fault.New(fault.FailedPrecondition, "The %s.", behind).WithHint("Run `tollgate migrate`.")
	}
	if err == nil {
		err = f(ctx, db)
	}
	return databaseFailure(err, hint)
}

// bookCommands look into the books of the ledger and put them right.
func bookCommands(root *cli.Root) []*cobra.Command {
	return []*cobra.Command{
		verifyCommand(root), rebuildCommand(root), incarnationsCommand(root), writeOffCommand(root), releaseCommand(root), restoredCommand(root),
	}
}

// jsonFlag is a flag that says the same as -o json.
func jsonFlag(cmd *cobra.Command) {
	cmd.Flags().Bool("json", false, "the same as -o json")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if wanted, err := cmd.Flags().GetBool("json"); err != nil || !wanted {
			return err
		}
		return cmd.Flags().Set("output", "json")
	}
}

func verifyCommand(root *cli.Root) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the books against themselves",
		Long: "Check the books against themselves, as they are at one moment: money that is set aside against what edges hold and have spent, " +
			"records against usage by hour and day, and what accounts were charged against what records drew. " +
			"It exits with 0 if everything agrees and with 1 if something does not." + directly,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withBooks(cmd, func(ctx context.Context, db *store.Store) error {
				r, err := audit.Verify(ctx, db, time.Now())
				if err != nil {
					return err
				}
				var broken []string
				for _, c := range r.Checks {
					if !c.OK {
						broken = append(broken, c.Name)
					}
				}
				var text strings.Builder
				if err := r.Write(&text); err != nil {
					return err
				}
				if err := root.Print(cli.Answer{Data: r, Names: broken, Text: text.String()}); err != nil || r.OK {
					return err
				}
				return fmt.Errorf("the books do not agree: %s", strings.Join(broken, ", "))
			})
		},
	}
	jsonFlag(cmd)
	return cmd
}

func rebuildCommand(root *cli.Root) *cobra.Command {
	var from, to string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Make usage the sum of the records again",
		Long: "Make usage by hour and day the sum of the records again, for the days of which the records are whole. " +
			"It changes no money and no record." + directly,
		Example: `  tollgate ledger rebuild --dry-run
  tollgate ledger rebuild --from 2026-11-01 --to 2026-11-07`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			first, err := dayFlag("from", from)
			if err != nil {
				return err
			}
			end, err := dayFlag("to", to)
			if err != nil {
				return err
			}
			if !end.IsZero() {
				end = end.AddDate(0, 0, 1)
			}
			return withBooks(cmd, func(ctx context.Context, db *store.Store) error {
				out, err := db.Rebuild(ctx, first, end, dryRun)
				if err != nil {
					return err
				}
				verb := "put right"
				if dryRun {
					verb = "to put right"
				}
				return root.Print(cli.Answer{
					Data: map[string]any{"days": out.Days, "sums": out.Rows, "dryRun": dryRun},
					Text: fmt.Sprintf("%d days looked at, %d sums %s\n", out.Days, out.Rows, verb),
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "first UTC day, such as 2026-11-01")
	f.StringVar(&to, "to", "", "last UTC day, included")
	f.BoolVar(&dryRun, "dry-run", false, "only count what would change")
	return cmd
}

func dayFlag(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, fault.New(fault.InvalidArgument, "--%s %q is no day such as 2026-11-30.", name, text)
	}
	return day, nil
}

func incarnationsCommand(root *cli.Root) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "incarnations",
		Short: "List process lives of edges, and what they hold",
		Long: "List process lives of edges, and what each holds and has not spent as far as it is booked. " +
			"Those that ended as they should are left out unless --all is given. " +
			"One that is live, has not been heard for long and will not come back can be written off or released." + directly,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withBooks(cmd, func(ctx context.Context, db *store.Store) error {
				list, err := db.Incarnations(ctx, all)
				if err != nil {
					return err
				}
				return root.Print(incarnations(list))
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that ended as they should")
	jsonFlag(cmd)
	return cmd
}

func incarnations(list []store.IncarnationState) cli.Answer {
	type row struct {
		Incarnation int64     `json:"incarnation,string"`
		Part        uint32    `json:"part"`
		Edge        string    `json:"edge"`
		State       string    `json:"state"`
		Mark        uint64    `json:"mark"`
		Since       time.Time `json:"since"`
		Heard       time.Time `json:"heard"`
		Unspent     string    `json:"unspent"`
	}
	rows := make([]row, len(list))
	out := cli.Answer{Data: rows, Head: []string{"INCARNATION", "PART", "EDGE", "STATE", "HEARD", "UNSPENT"}, Right: []string{"PART", "UNSPENT"}}
	for i, s := range list {
		rows[i] = row{s.Inc, s.Part, s.Edge, audit.States[s.State], s.HWM, s.Since.UTC(), s.Heard.UTC(), s.Unspent.String()}
		name := strconv.FormatInt(s.Inc, 10)
		if !slices.Contains(out.Names, name) { // it is listed in every partition that it joined
			out.Names = append(out.Names, name)
		}
		out.Rows = append(out.Rows, []string{
			name, strconv.FormatUint(uint64(s.Part), 10), s.Edge, rows[i].State, rows[i].Heard.Format(time.RFC3339), s.Unspent.Dollars(),
		})
	}
	return out
}

func writeOffCommand(root *cli.Root) *cobra.Command {
	return giveUpCommand(root, "write-off", "Note that an incarnation is lost; what it holds stays spent",
		"Note that an incarnation is lost: its edge's disk is gone and its events will not come. "+
			"What it holds stays spent, because it may have been, so that no budget is overspent. Should the edge be heard again after all, it is live again.",
		"written off: %s stay spent", (*store.Store).WriteOff)
}

func releaseCommand(root *cli.Root) *cobra.Command {
	return giveUpCommand(root, "release", "Give free what a lost incarnation holds",
		"Give free what an incarnation holds that is lost, without knowing how much of it was spent. "+
			"By so much, budgets may be overspent; in return nothing stays locked up. Should its events come after all, they are booked as an overrun.",
		"released: %s are free again; by up to as much, budgets may be overspent", (*store.Store).Release)
}

func giveUpCommand(root *cli.Root, name, short, long, done string, do func(*store.Store, context.Context, int64) (money.Nanos, error)) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   name + " INCARNATION",
		Short: short,
		Long:  long + directly,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.New(fault.InvalidArgument, "Name one incarnation.").WithHint("List them with `tollgate ledger incarnations`.")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			inc, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || inc <= 0 {
				return fault.New(fault.InvalidArgument, "%q is not the number of an incarnation.", args[0]).WithHint("List them with `tollgate ledger incarnations`.")
			}
			return withBooks(cmd, func(ctx context.Context, db *store.Store) error {
				if !yes {
					return unconfirmed(ctx, db, inc)
				}
				held, err := do(db, ctx, inc)
				if err != nil {
					return err
				}
				return root.Print(cli.Answer{
					Data: map[string]any{"incarnation": args[0], "held": held.String()}, Names: args, Text: fmt.Sprintf(done+"\n", held.Dollars()),
				})
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// unconfirmed says what is at stake.
func unconfirmed(ctx context.Context, db *store.Store, inc int64) error {
	list, err := db.Incarnations(ctx, true)
	if err != nil {
		return err
	}
	var held money.Nanos
	edge, state := "", escrow.Live
	for _, i := range list {
		if i.Inc == inc {
			if held, err = held.Add(i.Unspent); err != nil {
				return err
			}
			edge, state = i.Edge, i.State
		}
	}
	if edge == "" {
		return fault.New(fault.ObjectNotFound, "No incarnation %d is known.", inc).WithHint("List them with `tollgate ledger incarnations`.")
	}
	return fault.New(fault.InvalidArgument, "Incarnation %d of edge %s is %s and holds %s.", inc, edge, audit.States[state], held.Dollars()).
		WithHint("Add --yes to do it.")
}

func restoredCommand(root *cli.Root) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "restored",
		Short: "Say that an older state of the database was brought back",
		Long: "Say that an older state of the database was brought back, where the ledger could not notice by itself. " +
			"A new history of the books begins: edges send again what the database lacks, and no new money is granted until they have spoken, or for ten seconds." + directly,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return fault.New(fault.InvalidArgument, "A new history of the books would begin.").WithHint("Add --yes to do it.")
			}
			return withBooks(cmd, func(ctx context.Context, db *store.Store) error {
				n, err := db.BeginHistory(ctx)
				if err != nil {
					return err
				}
				return root.Print(cli.Answer{Data: map[string]any{"partitions": n}, Text: fmt.Sprintf("a new history of %d partitions has begun\n", n)})
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.New(fault.InvalidArgument, "Unexpected argument %q.", args[0])
	}
	return nil
}
