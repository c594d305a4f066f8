package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", Aliases: []string{"keys"}, Short: "What callers present", Args: cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.keyList(), a.keyGet(), a.keyCreate(), a.keySet(), a.keyRevoke())
	a.completeNames(cmd, keyNames)
	return cmd
}

func keyResult(k *controlv1.Key) result {
	return result{data: view(k), names: []string{k.GetName()}}
}

func (a *app) keyStatus(k *controlv1.Key) string {
	switch {
	case k.GetRevokeTime() != nil:
		return "revoked"
	case k.GetExpireTime() != nil && !k.GetExpireTime().AsTime().After(a.Now()):
		return "expired"
	default:
		return "active"
	}
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List keys", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				all, err := pages(func(token string) ([]*controlv1.Key, string, error) {
					page, err := c.Keys.ListKeys(ctx, &controlv1.ListKeysRequest{PageSize: pageSize, PageToken: token})
					return page.GetKeys(), page.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"NAME", "PREFIX", "STATUS", "TEAM", "ENDPOINTS", "MODELS", "EXPIRES", "CREATED"}}}
				data := []any{}
				for _, k := range all {
					data, r.names = append(data, view(k)), append(r.names, k.GetName())
					r.table.add(k.GetName(), first(k.GetPrefix(), "-"), a.keyStatus(k), first(k.GetTeam(), "-"),
						callable(k, "all"), list(k.GetModels(), "all"), a.when(k.GetExpireTime()), a.when(k.GetCreateTime()))
				}
				r.data = data
				return a.print(r)
			})
		},
	}
}

func (a *app) keyGet() *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Aliases: []string{"show"}, Short: "Show a key, without its secret", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: args[0]})
				if err != nil {
					return err
				}
				k := res.GetKey()
				r := keyResult(k)
				r.table.add("name", k.GetName())
				r.table.add("id", k.GetId())
				r.table.add("prefix", first(k.GetPrefix(), "-"))
				r.table.add("status", a.keyStatus(k))
				r.table.add("endpoints", callable(k, "all"))
				r.table.add("models", list(k.GetModels(), "all"))
				r.table.add("team", first(k.GetTeam(), "-"))
				r.table.add("customer", first(k.GetCustomer(), "as requests say"))
				r.table.add("tags", list(k.GetTags(), "-"))
				r.table.add("expires", a.when(k.GetExpireTime()))
				r.table.add("revoked", a.when(k.GetRevokeTime()))
				r.table.add("created", a.when(k.GetCreateTime()))
				return a.print(r)
			})
		},
	}
}

func (a *app) keyCreate() *cobra.Command {
	var endpoints, models []string
	var expires, hash string
	var charged keyLabels
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a key; its secret is printed once, alone, on stdout", Args: exactly("NAME"),
		Example: `  KEY=$(tollgate key create ci-bot --endpoint bria --expires 90d)
  KEY=$(tollgate key create chat --models 'gpt-4o,claude-*')`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &controlv1.CreateKeyRequest{Name: args[0], Endpoints: endpoints, Models: models, Team: charged.team, Customer: charged.customer, Tags: charged.tags}
			if expires != "" {
				at, ok := moment(expires, a.Now())
				if !ok {
					return usage(cmd, "--expires %q is neither a time ahead such as 90d or 12h, nor a date to come such as 2027-01-31.", expires)
				}
				req.ExpireTime = timestamppb.New(at)
			}
			if hash != "" {
				sum, err := hex.DecodeString(hash)
				if err != nil || len(sum) != 32 {
					return usage(cmd, "--sha256 is no SHA-256 in 64 hexadecimal digits.")
				}
				req.SecretSha256 = sum
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.CreateKey(ctx, req)
				if err != nil {
					return err
				}
				return a.keyCreated(res)
			})
		},
	}
	cmd.Flags().StringArrayVar(&endpoints, "endpoint", nil, "endpoint that it may call; may be repeated; all, present and future, if none is given")
	cmd.Flags().StringSliceVar(&models, "models", nil, "models that it may ask for, with * for any text; all, present and future, if none is given")
	cmd.Flags().StringVar(&expires, "expires", "", "when it stops working: 90d, 12h or 2027-01-31")
	cmd.Flags().StringVar(&hash, "sha256", "", "take over an existing secret by its SHA-256, in hexadecimal")
	charged.register(cmd)
	return cmd
}

// keyLabels are what a key's requests are charged to, as flags.
type keyLabels struct {
	team, customer string
	tags           []string
}

func (f *keyLabels) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.team, "team", "", "team that its requests are charged to")
	flags.StringVar(&f.customer, "customer", "", "customer that its requests are charged to; without, each request may name one")
	flags.StringArrayVar(&f.tags, "tag", nil, "tag of its requests; may be repeated")
}

func (a *app) keySet() *cobra.Command {
	var charged keyLabels
	var models []string
	cmd := &cobra.Command{
		Use: "set NAME", Aliases: []string{"update"}, Short: "Change whom a key's requests are charged to, and which models it may ask for", Args: exactly("NAME"),
		Long: "Change what is given and leave the rest. An empty text takes the team or the customer away, an empty tag all tags, and empty models let it ask for all.",
		Example: `  tollgate key set ci-bot --team search --tag nightly
  tollgate key set ci-bot --customer ''
  tollgate key set ci-bot --models 'gpt-4o,claude-*'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			if !given("team") && !given("customer") && !given("tag") && !given("models") {
				return usage(cmd, "Say what to change with --team, --customer, --tag or --models.")
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				got, err := c.Keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: args[0]})
				if err != nil {
					return err
				}
				k := got.GetKey()
				req := &controlv1.UpdateKeyRequest{Key: k.GetId(), Team: k.GetTeam(), Customer: k.GetCustomer(), Tags: k.GetTags()}
				if given("team") {
					req.Team = charged.team
				}
				if given("customer") {
					req.Customer = charged.customer
				}
				if given("tag") {
					req.Tags = slices.DeleteFunc(charged.tags, func(t string) bool { return t == "" })
				}
				if given("models") {
					req.Models = &controlv1.ModelAccess{Names: slices.DeleteFunc(models, func(m string) bool { return m == "" })}
				}
				res, err := c.Keys.UpdateKey(ctx, req)
				if err != nil {
					return err
				}
				k = res.GetKey()
				return a.done(keyResult(k), "", "key %s: team %s, customer %s, tags %s, models %s (rev %d)", k.GetName(), first(k.GetTeam(), "-"),
					first(k.GetCustomer(), "as requests say"), list(k.GetTags(), "-"), list(k.GetModels(), "all"), k.GetRevision())
			})
		},
	}
	cmd.Flags().StringSliceVar(&models, "models", nil, "models that it may ask for, with * for any text")
	charged.register(cmd)
	return cmd
}

// keyCreated prints the secret where only it is, so that a shell can keep it.
func (a *app) keyCreated(res *controlv1.CreateKeyResponse) error {
	k := res.GetKey()
	a.say("%s key %s created (rev %d), for %s", a.mark(true), k.GetName(), k.GetRevision(), callable(k, "all endpoints"))
	if res.GetSecret() != "" {
		a.say("  The secret is shown this once: Tollgate keeps only its SHA-256.")
		a.say("  next: %s try PATH --key SECRET, or curl -H 'Authorization: Bearer SECRET' …", a.Program)
	}
	switch a.format() {
	case formatTable:
		if res.GetSecret() != "" {
			fmt.Fprintln(a.Stdout, res.GetSecret())
		}
		return nil
	default:
		data := view(k)
		if res.GetSecret() != "" {
			data.set("secret", res.GetSecret())
		}
		return a.print(result{data: data, names: []string{k.GetName()}})
	}
}

func (a *app) keyRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End a key for good", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: args[0]})
				if err != nil {
					return err
				}
				k := res.GetKey()
				return a.done(keyResult(k), "", "key %s revoked (rev %d); every reachable edge refuses it within a second", k.GetName(), k.GetRevision())
			})
		},
	}
}

// span reads a length of time that may be in days or weeks.
func span(text string) (time.Duration, bool) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, err := strconv.ParseInt(strings.TrimSuffix(text, unit), 10, 64); strings.HasSuffix(text, unit) && err == nil {
			return time.Duration(n) * length, n > 0 && n <= math.MaxInt64/int64(length)
		}
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}

// moment reads a point in time ahead of now.
func moment(text string, now time.Time) (time.Time, bool) {
	if d, ok := span(text); ok {
		return now.Add(d), true
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, t.After(now)
		}
	}
	return time.Time{}, false
}

// callable lists the endpoints that a key may call. One that is restricted to none, because they were
// all deleted, is not one that may call all.
func callable(k *controlv1.Key, all string) string {
	if k.GetRestricted() && len(k.GetEndpoints()) == 0 {
		return "none"
	}
	return list(k.GetEndpoints(), all)
}
