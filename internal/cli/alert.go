package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// eventPrefix begins the names of kinds in the schema.
const eventPrefix = "ATTENTION_KIND_"

// usualEvents are told where nobody says what to tell.
var usualEvents = []string{
	"budget_warned", "budget_exhausted", "edge_silent", "edge_behind", "unpriced", "spool_old", "breaker_open", "secret_unresolved", "ledger_away", "bus_away",
}

func (a *app) alerts() noun[*controlv1.AlertChannel] {
	return noun[*controlv1.AlertChannel]{
		name: "alert", plural: "alerts", things: "channels of alerts", short: "Channels that are told when something needs attention", sample: "ops",
		columns: []column[*controlv1.AlertChannel]{
			{"NAME", (*controlv1.AlertChannel).GetName, plain},
			{"KIND", alertKind, plain},
			{"HOST", (*controlv1.AlertChannel).GetHost, plain},
			{"STATE", alertState, plain},
			{"EVENTS", func(c *controlv1.AlertChannel) string { return list(eventNames(c.GetEvents()), "-") }, wide},
			{"LAST ALERT", func(c *controlv1.AlertChannel) string { return a.when(c.GetLastDelivery().GetCreateTime()) }, wide},
			{"ID", (*controlv1.AlertChannel).GetId, wide},
		},
		id: (*controlv1.AlertChannel).GetName,
		page: func(ctx context.Context, c clients, _ query) ([]*controlv1.AlertChannel, string, error) {
			all, err := c.alerts.ListAlertChannels(ctx, &controlv1.ListAlertChannelsRequest{})
			return all.GetChannels(), "", err
		},
		empty: "Nobody is told when something needs attention. Make a channel with `%s alert create`.",
		get: func(ctx context.Context, c clients, name string) (*controlv1.AlertChannel, error) {
			res, err := c.alerts.GetAlertChannel(ctx, &controlv1.GetAlertChannelRequest{Channel: name})
			return res.GetChannel(), err
		},
		details: func(t *table, c *controlv1.AlertChannel) {
			t.add("name", c.GetName())
			t.add("id", c.GetId())
			t.add("kind", alertKind(c))
			t.add("host", c.GetHost())
			t.add("state", alertState(c))
			for i, e := range eventNames(c.GetEvents()) {
				t.add(map[bool]string{true: "tells"}[i == 0], e)
			}
			if d := c.GetLastDelivery(); d != nil {
				t.add("last alert", first(d.GetError(), d.GetSentence()))
				t.add("", a.when(d.GetCreateTime()))
			}
			t.add("created", a.when(c.GetCreateTime()))
		},
		remove: func(ctx context.Context, c clients, name string) error {
			_, err := c.alerts.DeleteAlertChannel(ctx, &controlv1.DeleteAlertChannelRequest{Channel: name})
			return err
		},
	}
}

func alertKind(c *controlv1.AlertChannel) string {
	return enumWord(c.GetKind(), "ALERT_CHANNEL_KIND_")
}

func alertState(c *controlv1.AlertChannel) string {
	switch d := c.GetLastDelivery(); {
	case c.GetDisabled():
		return "disabled"
	case d.GetError() != "":
		return "failing"
	default:
		return "enabled"
	}
}

func eventNames(all []controlv1.AttentionKind) []string {
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = strings.ToLower(strings.TrimPrefix(e.String(), eventPrefix))
	}
	return names
}

func readEvents(cmd *cobra.Command, names []string) ([]controlv1.AttentionKind, error) {
	var all []controlv1.AttentionKind
	for _, name := range names {
		n := controlv1.AttentionKind_value[eventPrefix+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]
		if n == 0 {
			return nil, usage(cmd, "There is no event %q. There are: %s.", name, strings.Join(allEvents(), ", "))
		}
		all = append(all, controlv1.AttentionKind(n))
	}
	return all, nil
}

// allEvents are those that can be told.
func allEvents() (names []string) {
	for n := range controlv1.AttentionKind_name {
		if k := controlv1.AttentionKind(n); n != 0 && k != controlv1.AttentionKind_ATTENTION_KIND_ALERT_FAILING {
			names = append(names, eventNames([]controlv1.AttentionKind{k})...)
		}
	}
	slices.Sort(names)
	return names
}

func (a *app) alertCommand() *cobra.Command {
	n := a.alerts()
	return n.command(a, a.alertCreate(), a.alertSet(n), a.alertTest(), a.alertLog())
}

func (a *app) alertCreate() *cobra.Command {
	var kind, file string
	var events []string
	var disabled bool
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Have a webhook or a channel of Slack told; its URL is read from stdin, a file or a hidden prompt", Args: exactly("NAME"),
		Long: "Have a webhook or a channel of Slack told when something needs attention, and when it is over. Whoever knows the URL can write there, " +
			"so that it is read from stdin, a file or a hidden prompt, and never shown again. Alerts to a webhook are signed, with a secret that is printed once.",
		Example: `  tollgate alert create ops < url.txt
  tollgate alert create team-chat --kind slack --url-file url.txt --event budget_exhausted,edge_silent`,
		RunE: func(cmd *cobra.Command, args []string) error {
			of := controlv1.AlertChannelKind(controlv1.AlertChannelKind_value["ALERT_CHANNEL_KIND_"+strings.ToUpper(kind)])
			if of == 0 {
				return usage(cmd, "There is no channel of the kind %q: use webhook or slack.", kind)
			}
			told, err := readEvents(cmd, events)
			if err != nil {
				return err
			}
			url, err := a.readSecret(cmd, file)
			if err != nil {
				return err
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.alerts.CreateAlertChannel(ctx, &controlv1.CreateAlertChannelRequest{Channel: &controlv1.AlertChannel{
					Name: args[0], Kind: of, Url: url.Reveal(), Events: told, Disabled: disabled,
				}})
				if err != nil {
					return err
				}
				return a.signing(res.GetChannel(), res.GetSigningSecret(), "channel %s created; try it with `%s alert test %s`", args[0], a.Program, args[0])
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "webhook", "webhook or slack")
	f.StringVar(&file, "url-file", "", "file that holds the URL; stdin if not given")
	f.StringSliceVar(&events, "event", usualEvents, "what is told; may be repeated")
	f.BoolVar(&disabled, "disabled", false, "send nothing yet")
	a.writes(cmd)
	return cmd
}

// signing prints a secret that signs, if there is one, where only it is.
func (a *app) signing(c *controlv1.AlertChannel, secret, format string, args ...any) error {
	if a.dryRun || secret == "" {
		return a.done(a.alerts().result(c), "", format, args...)
	}
	a.say("%s %s", a.mark(true), fmt.Sprintf(format, args...))
	a.say("  The secret that signs alerts is shown this once.")
	return a.printOnce(view(c), c.GetName(), secret)
}

func (a *app) alertSet(n noun[*controlv1.AlertChannel]) *cobra.Command {
	var name, file string
	var events []string
	var disabled, fresh bool
	cmd := &cobra.Command{
		Use: "set NAME", Aliases: []string{"update"}, Short: "Change what a channel is told, and where it is", Args: exactly("NAME"),
		Example: "  tollgate alert set ops --disabled\n  tollgate alert set ops --url-file url.txt --new-signing-secret",
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			told, err := readEvents(cmd, events)
			if err != nil {
				return err
			}
			target := ""
			if given("url-file") {
				url, err := a.readSecret(cmd, file)
				if err != nil {
					return err
				}
				target = url.Reveal()
			}
			if target == "" && !given("name") && !given("event") && !given("disabled") && !fresh {
				return usage(cmd, "Nothing is to be changed: give --name, --url-file, --event, --disabled or --new-signing-secret.")
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				next, err := n.get(ctx, c, args[0])
				if err != nil {
					return err
				}
				if given("name") {
					next.Name = name
				}
				if given("event") {
					next.Events = told
				}
				if given("disabled") {
					next.Disabled = disabled
				}
				next.Url, next.LastDelivery = target, nil
				res, err := c.alerts.UpdateAlertChannel(ctx, &controlv1.UpdateAlertChannelRequest{Channel: next, NewSigningSecret: fresh})
				if err != nil {
					return err
				}
				return a.signing(res.GetChannel(), res.GetSigningSecret(), "channel %s changed", res.GetChannel().GetName())
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "another name")
	f.StringVar(&file, "url-file", "", "file that holds another URL; - for stdin")
	f.StringSliceVar(&events, "event", nil, "what is told, in place of what was; may be repeated")
	f.BoolVar(&disabled, "disabled", false, "send nothing; --disabled=false sends again")
	f.BoolVar(&fresh, "new-signing-secret", false, "sign with a new secret from now on")
	a.writes(cmd)
	return cmd
}

func (a *app) alertTest() *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "Send an alert at once, and show what the receiver answered", Args: exactly("NAME"), Example: "  tollgate alert test ops",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.alerts.TestAlertChannel(ctx, &controlv1.TestAlertChannelRequest{Channel: args[0]})
				if err != nil {
					return err
				}
				took := res.GetTook().AsDuration().Milliseconds()
				if res.GetDelivered() {
					a.say("%s the receiver took it: %d (%d ms)", a.mark(true), res.GetStatus(), took)
				}
				if res.GetAnswer() != "" {
					a.say("  it said: %s", res.GetAnswer())
				}
				if !a.forPeople() {
					if err := a.print(result{data: view(res), names: []string{res.GetAlertId()}}); err != nil {
						return err
					}
				}
				if !res.GetDelivered() {
					return &failure{exit: ExitUnreachable, message: fmt.Sprintf("%s (%d ms)", res.GetError(), took), typed: true}
				}
				return nil
			})
		},
	}
}

func (a *app) alertLog() *cobra.Command {
	var most int32
	cmd := &cobra.Command{
		Use: "log [NAME]", Short: "List alerts that were sent or are to be, the newest first", Args: cobra.MaximumNArgs(1), Example: "  tollgate alert log ops --limit 20",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.alerts.ListAlertDeliveries(ctx, &controlv1.ListAlertDeliveriesRequest{Channel: strings.Join(args, ""), Limit: most})
				if err != nil {
					return err
				}
				r := result{table: table{head: []string{"TIME", "CHANNEL", "EVENT", "STATE", "ATTEMPTS", "WHAT", "ERROR"}, right: []string{"ATTEMPTS"}, wide: []string{"ERROR"}}}
				data := []any{}
				for _, d := range res.GetDeliveries() {
					data, r.names = append(data, view(d)), append(r.names, d.GetId())
					r.table.add(a.when(d.GetCreateTime()), d.GetChannelName(), enumWord(d.GetEvent(), "ALERT_EVENT_"),
						enumWord(d.GetState(), "ALERT_DELIVERY_STATE_"), count(int64(d.GetAttempts())), d.GetSentence(), first(d.GetError(), "-"))
				}
				r.data = data
				return a.print(r)
			})
		},
	}
	cmd.Flags().Int32Var(&most, "limit", 50, "at most this many")
	return cmd
}
