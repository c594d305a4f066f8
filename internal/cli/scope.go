package cli

import (
	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// scopeFlags are what a budget or a limit applies to, as flags.
type scopeFlags struct {
	key, team, customer, tag, endpoint string
	everything                         bool
}

func (f *scopeFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "apply to one key")
	flags.StringVar(&f.team, "team", "", "apply to the keys of one team, together")
	flags.StringVar(&f.customer, "customer", "", "apply to one customer, as keys and requests name it")
	flags.StringVar(&f.tag, "tag", "", "apply to one tag, as keys and requests name it")
	flags.StringVar(&f.endpoint, "endpoint", "", "apply to one endpoint")
	flags.BoolVar(&f.everything, "everything", false, "apply to all requests")
}

// check refuses more than one scope, and none.
func (f *scopeFlags) check(cmd *cobra.Command, what string) error {
	if err := exclusive(cmd, "key", "team", "customer", "tag", "endpoint", "everything"); err != nil {
		return err
	}
	if !f.everything && f.key == "" && f.team == "" && f.customer == "" && f.tag == "" && f.endpoint == "" {
		return usage(cmd, "Say what the %s applies to with --key, --team, --customer, --tag, --endpoint or --everything.", what)
	}
	return nil
}

func (f *scopeFlags) onBudget(b *controlv1.Budget) {
	switch {
	case f.key != "":
		b.Scope = &controlv1.Budget_Key{Key: f.key}
	case f.team != "":
		b.Scope = &controlv1.Budget_Team{Team: f.team}
	case f.customer != "":
		b.Scope = &controlv1.Budget_Customer{Customer: f.customer}
	case f.tag != "":
		b.Scope = &controlv1.Budget_Tag{Tag: f.tag}
	case f.endpoint != "":
		b.Scope = &controlv1.Budget_Endpoint{Endpoint: f.endpoint}
	default:
		b.Scope = &controlv1.Budget_Everything{Everything: true}
	}
}

func (f *scopeFlags) onLimit(l *controlv1.Limit) {
	switch {
	case f.key != "":
		l.Scope = &controlv1.Limit_Key{Key: f.key}
	case f.team != "":
		l.Scope = &controlv1.Limit_Team{Team: f.team}
	case f.customer != "":
		l.Scope = &controlv1.Limit_Customer{Customer: f.customer}
	case f.tag != "":
		l.Scope = &controlv1.Limit_Tag{Tag: f.tag}
	case f.endpoint != "":
		l.Scope = &controlv1.Limit_Endpoint{Endpoint: f.endpoint}
	default:
		l.Scope = &controlv1.Limit_Everything{Everything: true}
	}
}

// scoped is a budget or a limit.
type scoped interface {
	GetKey() string
	GetTeam() string
	GetCustomer() string
	GetTag() string
	GetEndpoint() string
	GetEverything() bool
}

// scope is what a budget or a limit applies to, in words.
func scope(s scoped) string {
	for _, of := range []struct{ kind, name string }{
		{"key", s.GetKey()}, {"team", s.GetTeam()}, {"customer", s.GetCustomer()}, {"tag", s.GetTag()}, {"endpoint", s.GetEndpoint()},
	} {
		if of.name != "" {
			return of.kind + " " + of.name
		}
	}
	if s.GetEverything() {
		return "everything"
	}
	return "?"
}
