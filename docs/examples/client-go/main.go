// Command client-go gives each customer that it is told a key of their own and a budget a month, and says what their keys
// have used. It can be run again, also after it broke off: what is there stays as it is. It is an example of package
// tollgate/sdk/client, and no part of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"google.golang.org/genproto/googleapis/type/money"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/sdk/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "client-go:", err)
		if e, ok := errors.AsType[*client.Error](err); ok && e.Hint != "" {
			fmt.Fprintln(os.Stderr, e.Hint)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("client-go", flag.ContinueOnError)
	dollars := flags.Int64("dollars", 50, "US dollars a month for each")
	try := flags.Bool("dry-run", false, "say what would be made")
	follow := flags.Bool("follow", false, "then tell of requests as they end, until ^C")
	if err := flags.Parse(args); err != nil {
		return err
	}
	tg, err := client.New(os.Getenv("TOLLGATE_SERVER"), client.WithToken(os.Getenv("TOLLGATE_TOKEN")), client.WithUserAgent("client-go/1"))
	if err != nil {
		return err
	}
	writes := ctx
	if *try {
		writes = client.DryRun(ctx)
	}
	for _, customer := range flags.Args() {
		if err := welcome(writes, tg, customer, *dollars, out); err != nil {
			return fmt.Errorf("%s: %w", customer, err)
		}
	}
	list := &controlv1.ListKeysRequest{Filter: "status:active"}
	for key, err := range client.All(ctx, tg.Keys.ListKeys, list, (*controlv1.ListKeysResponse).GetKeys) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\t%s…%s\t%s\n", key.GetName(), key.GetPrefix(), key.GetSuffix(), key.GetCustomer())
	}
	if !*follow {
		return nil
	}
	for news, err := range tg.Tail(ctx, nil) {
		if err != nil && ctx.Err() != nil {
			return nil // ^C
		} else if err != nil {
			return err
		}
		for _, r := range news.GetRequests() {
			fmt.Fprintf(out, "%d\t%s %s\t%s\n", r.GetStatus(), r.GetMethod(), r.GetPath(), r.GetKey())
		}
	}
	return nil
}

// welcome makes what a customer needs. A key is shown once; under its idempotency key it is shown again to a program that
// lost the answer, for a day.
func welcome(ctx context.Context, tg *client.Client, customer string, dollars int64, out io.Writer) error {
	made, err := tg.Keys.CreateKey(client.IdempotencyKey(ctx, "welcome-key-"+customer), &controlv1.CreateKeyRequest{Name: customer, Customer: customer})
	switch {
	case client.CodeOf(err) == client.AlreadyExists:
		fmt.Fprintf(out, "# %s has a key\n", customer)
	case err != nil:
		return err
	case made.GetSecret() == "":
		fmt.Fprintf(out, "# %s would get a key\n", customer)
	default:
		fmt.Fprintf(out, "# %s calls with %s\n", customer, made.GetSecret())
	}
	budget := &controlv1.Budget{
		Name: customer + "-month", Scope: &controlv1.Budget_Customer{Customer: customer}, Period: controlv1.Period_PERIOD_MONTH,
		Amount: &money.Money{CurrencyCode: "USD", Units: dollars},
	}
	if _, err = tg.Budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: budget}); client.CodeOf(err) == client.AlreadyExists {
		return nil // somebody may have changed it since
	}
	return err
}
