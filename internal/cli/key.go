package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func (a *app) keys() noun[*controlv1.Key] {
	return noun[*controlv1.Key]{
		name: "key", plural: "keys", short: "What callers present", sample: "ci-bot", console: "/keys",
		columns: []column[*controlv1.Key]{
			{"NAME", (*controlv1.Key).GetName, plain},
			{"PREFIX", func(k *controlv1.Key) string { return first(k.GetPrefix(), "-") }, plain},
			{"STATUS", a.keyStatus, plain},
			{"TEAM", func(k *controlv1.Key) string { return first(k.GetTeam(), "-") }, plain},
			{"ENDPOINTS", func(k *controlv1.Key) string { return restricted(k, "all") }, plain},
			{"MODELS", func(k *controlv1.Key) string { return list(k.GetModels(), "all") }, plain},
			{"EXPIRES", func(k *controlv1.Key) string { return a.when(k.GetExpireTime()) }, plain},
			{"CREATED", func(k *controlv1.Key) string { return a.when(k.GetCreateTime()) }, plain},
			{"ID", (*controlv1.Key).GetId, wide},
			{"CUSTOMER", func(k *controlv1.Key) string { return first(k.GetCustomer(), "-") }, wide},
			{"TAGS", func(k *controlv1.Key) string { return list(k.GetTags(), "-") }, wide},
			{"METHODS", func(k *controlv1.Key) string { return list(k.GetMethods(), "all") }, wide},
			{"NETWORKS", func(k *controlv1.Key) string { return list(k.GetNetworks(), "all") }, wide},
			{"MANAGED BY", func(k *controlv1.Key) string { return first(k.GetManagedBy(), "-") }, wide},
		},
		id: (*controlv1.Key).GetName,
		page: func(ctx context.Context, c clients, q query) ([]*controlv1.Key, string, error) {
			page, err := c.Keys.ListKeys(ctx, &controlv1.ListKeysRequest{PageSize: q.size, PageToken: q.token, Filter: q.filter, OrderBy: q.order})
			return page.GetKeys(), page.GetNextPageToken(), err
		},
		filters: "team:search -status:revoked", ordered: true,
		empty: "There are no keys. Make one with `%s key create`.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.Key, error) {
			res, err := c.Keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: name})
			return res.GetKey(), err
		},
		details: a.keyDetails,
	}
}

func (a *app) keyDetails(t *table, k *controlv1.Key) {
	t.add("name", k.GetName())
	t.add("id", k.GetId())
	secret := first(k.GetPrefix(), "-")
	if k.GetSuffix() != "" {
		secret += "…" + k.GetSuffix()
	}
	t.add("prefix", secret)
	t.add("status", a.keyStatus(k))
	if k.GetDescription() != "" {
		t.add("for", k.GetDescription())
	}
	t.add("endpoints", restricted(k, "all"))
	t.add("models", list(k.GetModels(), "all"))
	if len(k.GetMethods()) > 0 {
		t.add("methods", list(k.GetMethods(), "all"))
	}
	if len(k.GetNetworks()) > 0 {
		t.add("networks", list(k.GetNetworks(), "all"))
	}
	t.add("team", first(k.GetTeam(), "-"))
	t.add("customer", first(k.GetCustomer(), "as requests say"))
	t.add("tags", list(k.GetTags(), "-"))
	t.add("expires", a.when(k.GetExpireTime()))
	t.add("revoked", a.when(k.GetRevokeTime()))
	if k.GetOverlapEndTime() != nil {
		t.add("old secret ends", a.when(k.GetOverlapEndTime()))
	}
	addMetadata(t, k.GetMetadata())
	addManaged(t, k.GetManagedBy())
	t.add("created", a.when(k.GetCreateTime()))
}

func (a *app) keyCommand() *cobra.Command {
	n := a.keys()
	return n.command(a, a.keyCreate(n), a.keySet(n), a.keyRotate(n), a.keyEndOverlap(n), a.keyBlock(n, true), a.keyBlock(n, false), a.keyUse(), a.keyRevoke(n))
}

func (a *app) keyStatus(k *controlv1.Key) string {
	switch {
	case k.GetRevokeTime() != nil:
		return "revoked"
	case k.GetExpireTime() != nil && !k.GetExpireTime().AsTime().After(a.Now()):
		return "expired"
	case k.GetStatus() != controlv1.KeyStatus_KEY_STATUS_UNSPECIFIED:
		return enumWord(k.GetStatus(), "KEY_STATUS_")
	case k.GetBlocked():
		return "blocked"
	default:
		return "active"
	}
}

// keyFlags are the settings of a key as flags.
type keyFlags struct {
	access            accessFlags
	team, customer    string
	tags              []string
	description       string
	methods, networks []string
	expires           string
	metadata          metadataFlags
}

func (f *keyFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.access.register(cmd, "it")
	flags.StringVar(&f.team, "team", "", "team that its requests are charged to")
	flags.StringVar(&f.customer, "customer", "", "customer that its requests are charged to; without, each request may name one")
	flags.StringArrayVar(&f.tags, "tag", nil, "tag of its requests; may be repeated")
	flags.StringVar(&f.description, "description", "", "what it is for")
	flags.StringSliceVar(&f.methods, "methods", nil, "HTTP methods that it may use, such as GET,POST; all if none is given")
	flags.StringSliceVar(&f.networks, "networks", nil, "networks from which it may be used, such as 10.0.0.0/8; all if none is given")
	flags.StringVar(&f.expires, "expires", "", "when it stops working: 90d, 12h or 2027-01-31")
	f.metadata.register(cmd)
}

// end is when the key stops working; nil if that was not given, or is never.
func (f *keyFlags) end(cmd *cobra.Command, now time.Time) (*timestamppb.Timestamp, error) {
	if f.expires == "" || f.expires == "never" {
		return nil, nil
	}
	at, ok := moment(f.expires, now)
	if !ok {
		return nil, usage(cmd, "--expires %q is neither a time ahead such as 90d or 12h, nor a date to come such as 2027-01-31.", f.expires)
	}
	return timestamppb.New(at), nil
}

func (a *app) keyCreate(n noun[*controlv1.Key]) *cobra.Command {
	var f keyFlags
	var hash string
	var plainKey bool
	var budget defaultBudgetFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a key; its secret is printed once, alone, on stdout", Args: exactly("NAME"),
		Example: `  KEY=$(tollgate key create web --endpoint bria --expires 90d)
  tollgate key create chat --models 'gpt-4o,claude-*' --networks 10.0.0.0/8
  tollgate key create nightly --budget 50 --budget-period month`,
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := f.end(cmd, a.Now())
			if err != nil {
				return err
			}
			sum, err := hashFlag(cmd, hash)
			if err != nil {
				return err
			}
			metadata, err := f.metadata.read(cmd)
			if err != nil {
				return err
			}
			own, err := budget.read(cmd)
			if err != nil {
				return err
			}
			req := &controlv1.CreateKeyRequest{
				Name: args[0], Endpoints: given(f.access.endpoints), Models: given(f.access.models), Team: f.team, Customer: f.customer, Tags: given(f.tags),
				Description: f.description, Methods: given(f.methods), Networks: given(f.networks), Metadata: metadata, ExpireTime: end, SecretSha256: sum,
				NoDefaults: plainKey, Budget: own,
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.CreateKey(ctx, req)
				if err != nil {
					return err
				}
				k := res.GetKey()
				return a.keySecret(n, k, res.GetSecret(), "key %s created (rev %d), for %s", k.GetName(), k.GetRevision(), restricted(k, "all endpoints"))
			})
		},
	}
	f.register(cmd)
	budget.register(cmd)
	cmd.Flags().StringVar(&hash, "sha256", "", "take over an existing secret by its SHA-256, in hexadecimal")
	cmd.Flags().BoolVar(&plainKey, "no-defaults", false, "without the expiry and the budget that the settings have for new keys")
	a.writes(cmd)
	return cmd
}

// hashFlag reads --sha256.
func hashFlag(cmd *cobra.Command, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != 32 {
		return nil, usage(cmd, "--sha256 is no SHA-256 in 64 hexadecimal digits.")
	}
	return sum, nil
}

func (a *app) keySet(n noun[*controlv1.Key]) *cobra.Command {
	var f keyFlags
	cmd := &cobra.Command{
		Use: "set NAME", Aliases: []string{"update"}, Short: "Change a key's settings; those not given stay as they are", Args: exactly("NAME"),
		Long: "Change what is given and leave the rest. An empty text takes the team or the customer away, an empty tag all tags, and empty endpoints or models let it call all. --expires never lets it work for good.",
		Example: `  tollgate key set ci-bot --team search --tag nightly
  tollgate key set ci-bot --customer ''
  tollgate key set ci-bot --models 'gpt-4o,claude-*' --expires 30d`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m := maskOf(cmd, [][2]string{
				{"team"},
				{"customer"},
				{"tag", "tags"},
				{"models"},
				{"endpoint", "endpoints"},
				{"expires", "expire_time"},
				{"description"},
				{"methods"},
				{"networks"},
				{"metadata"},
			})
			if m == nil {
				return usage(cmd, "Say what to change, such as --team, --customer, --tag or --models.")
			}
			end, err := f.end(cmd, a.Now())
			if err != nil {
				return err
			}
			metadata, err := f.metadata.read(cmd)
			if err != nil {
				return err
			}
			req := &controlv1.UpdateKeyRequest{
				Key: args[0], Team: f.team, Customer: f.customer, Tags: given(f.tags), ExpireTime: end, Description: f.description,
				Methods: given(f.methods), Networks: given(f.networks), Metadata: metadata, UpdateMask: m,
			}
			if cmd.Flags().Changed("models") {
				req.Models = &controlv1.ModelAccess{Names: given(f.access.models)}
			}
			if cmd.Flags().Changed("endpoint") {
				req.Endpoints, req.Restricted = f.access.endpointNames(cmd)
				m.Paths = append(m.Paths, "restricted")
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.UpdateKey(ctx, req)
				if err != nil {
					return err
				}
				k := res.GetKey()
				return a.done(n.result(k), "", "key %s: team %s, customer %s, tags %s, models %s (rev %d)", k.GetName(), first(k.GetTeam(), "-"),
					first(k.GetCustomer(), "as requests say"), list(k.GetTags(), "-"), list(k.GetModels(), "all"), k.GetRevision())
			})
		},
	}
	f.register(cmd)
	a.writes(cmd)
	return cmd
}

// keySecret prints a new secret where only it is, so that a shell can keep it.
func (a *app) keySecret(n noun[*controlv1.Key], k *controlv1.Key, secret, format string, args ...any) error {
	if a.dryRun {
		return a.done(n.result(k), "", format, args...) // it opens nothing
	}
	a.say("%s %s", a.mark(true), fmt.Sprintf(format, args...))
	if secret != "" {
		a.say("  The secret is shown this once: Tollgate keeps only its SHA-256.")
		a.say("  next: %s try PATH --key SECRET, or curl -H 'Authorization: Bearer SECRET' …", a.Program)
	}
	return a.printOnce(view(k), k.GetName(), secret)
}

// printOnce prints what cannot be read again: alone for people, and beside the rest for programs.
func (a *app) printOnce(data *object, name, secret string) error {
	if a.forPeople() {
		if secret != "" {
			fmt.Fprintln(a.Stdout, secret)
		}
		return nil
	}
	if secret != "" {
		data.set("secret", secret)
	}
	return a.print(result{data: data, names: []string{name}})
}

func (a *app) keyRevoke(n noun[*controlv1.Key]) *cobra.Command {
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "End a key for good", Args: exactly("NAME"), Example: "  tollgate key revoke ci-bot",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.Keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: args[0]})
				if err != nil {
					return err
				}
				k := res.GetKey()
				return a.done(n.result(k), "", "key %s revoked (rev %d); every reachable edge refuses it within a second", k.GetName(), k.GetRevision())
			})
		},
	}
	a.destroys(cmd)
	return cmd
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
