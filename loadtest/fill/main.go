// Command fill puts made-up records into the database of a ledger, so that the console, the command line and exports can be tried
// on very many. It is for databases that nobody needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/ledger/store/fill"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("fill", flag.ContinueOnError)
	f.SetOutput(out)
	url := f.String("database", "", "URL of the ledger's database, which is migrated already")
	o := fill.Options{Until: time.Now(), Customers: append(fill.Names("customer-", 50), ""), Models: []string{"", "small", "large"}}
	f.IntVar(&o.Records, "records", 10_000_000, "how many records")
	f.IntVar(&o.Days, "days", 30, "over how many days, up to now")
	lists := []struct {
		to     *[]string
		flag   string
		prefix string
		n      int
	}{
		{&o.Keys, "keys", "key_filled", 500}, {&o.Endpoints, "endpoints", "ep_filled", 20}, {&o.Teams, "teams", "team-", 20}, {&o.Edges, "edges", "edge-", 4},
	}
	named := make([]*string, len(lists))
	for i, l := range lists {
		named[i] = f.String(l.flag, "", fmt.Sprintf("ids or names that records have, comma-separated; empty makes up %d", l.n))
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	if *url == "" || f.NArg() > 0 {
		return errors.New("say which database, and nothing else: --database postgres://…")
	}
	for i, l := range lists {
		if *l.to = strings.Split(*named[i], ","); *named[i] == "" {
			*l.to = fill.Names(l.prefix, l.n)
		}
	}
	o.Progress = func(n int) { fmt.Fprintf(out, "%d records\n", n) }
	pool, err := pgxpool.New(ctx, *url)
	if err != nil {
		return err
	}
	defer pool.Close()
	return fill.Fill(ctx, pool, o)
}
