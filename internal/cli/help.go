package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/internal/fault"
)

// environment is the topic of that name.
const environment = `Environment variables (flags go before them, they before the current context, and that before the
local server's note):
  TOLLGATE_CONTEXT    context to work in
  TOLLGATE_SERVER     URL of the control plane; ` + defaultServer + ` if nothing names one
  TOLLGATE_TOKEN      token of the control plane
  TOLLGATE_CA_FILE    PEM file of authorities to trust beside the system's
  TOLLGATE_CONFIG     file of contexts; tollgate/config.yaml in XDG_CONFIG_HOME or ~/.config if not set
  TOLLGATE_GATEWAY    URL of the gateway, for try; ` + defaultGateway + ` if nothing names one
  TOLLGATE_KEY        secret of a caller's key, for try
  TOLLGATE_OUTPUT     table, wide, json, yaml, ndjson, csv or name
  TOLLGATE_NO_INPUT   if set, nothing is asked
  NO_COLOR            if set, nothing is coloured
  CLICOLOR_FORCE      if set and not 0, colours also in a pipe

A running ` + "`tollgate dev`" + ` leaves a note in .tollgate/cli.json, which is found from its folder and all
folders below. It names servers on this machine only, and its token goes to no other server.
`

const output = `Output (-o):
  table   columns: aligned on a terminal and as wide as that, separated by tabs in a pipe
  wide    the same with all columns, exact times and nothing shortened
  json    protobuf's JSON names and forms (64-bit integers are strings); an amount of money is
          {"currency": "USD", "amount": "12.00"}, exact to nine decimals
  yaml    the same as YAML
  ndjson  the same, a line for each thing
  csv     the columns of wide
  name    one name a line

--columns NAME,STATUS chooses columns and their order; --no-headers leaves their names out.
--jq EXPRESSION takes something of the JSON: texts are printed as they are, all else as JSON on a line.
  tollgate key list --jq '.[] | select(.team == "search") | .name'

Data is on stdout, everything else on stderr. With -o json, errors are JSON on stderr.
`

const contextsTopic = `Contexts are the control planes that you work with, each under a name:
  tollgate context add live --server https://tollgate.example --env prod
  tollgate login --context live
  tollgate context use live     and  tollgate ctx -  for the one before
  tollgate key list -c live     for one command only

A context has the URL of its control plane, maybe that of its gateway, a file of authorities (--ca-file) and what it
is for (--env). In one that is for prod, a command that takes something away asks for its name, or needs --yes.
They are in ~/.config/tollgate/config.yaml (TOLLGATE_CONFIG names another file), which only you can read. Tokens are
in the keyring of the operating system if there is one, and in that file otherwise. A token is sent to the server of
its context only. ` + "`tollgate dev`" + ` has the context dev while it runs.
`

const filters = `Filters (--filter of lists) are words with spaces between them; a thing is listed if all of them are true of it:
  bria              has this in its name
  "two words"       has this in its name
  team:search       has this in a field
  status:active,expiring   has one of these in a field
  -team:search      has something else in that field

Which fields there are depends on the list: one that a list does not know is refused with the names of all that it
knows. --sort FIELD puts a list in order, and --sort=-FIELD the other way round.
`

func (a *app) helpCommand() *cobra.Command {
	topics := map[string]string{
		"exit-codes": exitCodes, "environment": environment, "output": output, "formatting": output, "contexts": contextsTopic, "filters": filters,
	}
	return &cobra.Command{
		Use:   "help [COMMAND | errors [CODE] | TOPIC]",
		Short: "Help about a command, an error or a topic",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch {
			case len(args) == 0:
				if err := root.Help(); err != nil {
					return err
				}
				fmt.Fprint(a.Stdout, "\nTopics: tollgate help errors | exit-codes | environment | contexts | formatting | filters\n")
				return nil
			case args[0] == "errors" && len(args) == 1:
				return a.printErrors()
			case args[0] == "errors":
				return a.explain(cmd, args[1])
			}
			if text, ok := topics[args[0]]; ok {
				fmt.Fprint(a.Stdout, text)
				return nil
			}
			target, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 || target == root {
				name := args[0]
				if len(rest) > 0 {
					name = rest[0]
				}
				if target == nil {
					target = root
				}
				return unknownCommand(target, name)
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}

// printErrors lists the catalogue.
func (a *app) printErrors() error {
	codes := fault.Codes()
	slices.Sort(codes)
	r := result{table: table{head: []string{"CODE", "HTTP", "EXIT", "FIX"}, right: []string{"HTTP", "EXIT"}}}
	data := []any{}
	for _, code := range codes {
		kind, status, hint, _ := fault.Describe(code)
		one := &object{}
		one.set("code", string(code))
		one.set("status", status)
		one.set("exit", exitOf(kind))
		one.set("fix", hint)
		data, r.names = append(data, one), append(r.names, string(code))
		r.table.add(string(code), fmt.Sprint(status), fmt.Sprint(exitOf(kind)), hint)
	}
	r.data = data
	return a.print(r)
}

func (a *app) explain(cmd *cobra.Command, text string) error {
	code := fault.Code(strings.ToLower(text))
	kind, status, hint, ok := fault.Describe(code)
	if !ok {
		return usage(cmd, "There is no error %q. `tollgate help errors` lists them.", text)
	}
	fmt.Fprintf(a.Stdout, "%s\n\n", code)
	if meaning := meanings[code]; meaning != "" {
		fmt.Fprintf(a.Stdout, "  %s\n\n", meaning)
	}
	fmt.Fprintf(a.Stdout, "  fix        %s\n  HTTP       %d\n  exit code  %d\n", hint, status, exitOf(kind))
	return nil
}

// meanings say what happened, in general; the message of an error says it in particular.
var meanings = map[fault.Code]string{
	fault.KeyMissing:          "The request brought no key.",
	fault.KeyUnknown:          "The key that the request brought is none of Tollgate's.",
	fault.KeyExpired:          "The key had a last day, and it has passed.",
	fault.KeyRevoked:          "The key was ended by an administrator.",
	fault.KeyNotAllowed:       "The key may call some endpoints, and this is none of them.",
	fault.EndpointNotFound:    "No endpoint answers the request's path.",
	fault.MethodNotAllowed:    "An endpoint answers the path, but not with this method.",
	fault.PathInvalid:         "The path has segments that would leave the endpoint, or cannot be read.",
	fault.BudgetExhausted:     "A budget that the request draws on has less left than the request costs.",
	fault.BudgetUnavailable:   "The edge holds no money of a budget and cannot reach the ledger, so it cannot know whether the request fits.",
	fault.RateLimited:         "A limit that applies to the request admits no more in this minute, or at this moment.",
	fault.LimitUnavailable:    "A limit that admits nothing without the ledger applies to the request, and the edge cannot reach the ledger.",
	fault.LabelInvalid:        "The request names a customer or a tag that cannot be one, more tags than are allowed, or another customer than its key's.",
	fault.BodyTooLarge:        "The request's body is longer than the endpoint or the edge allows.",
	fault.BodyInvalid:         "The request's body ended early, or is not what its headers announce.",
	fault.Overloaded:          "The edge serves as many requests as it is allowed to at a time.",
	fault.UpstreamUnreachable: "No target of the endpoint could be connected to.",
	fault.UpstreamTLS:         "A target was reached, but its certificate or its TLS was not acceptable.",
	fault.UpstreamTimeout:     "The target did not begin to answer in the time that the endpoint allows.",
	fault.BreakerOpen:         "The target failed again and again, so it is left alone for a moment.",
	fault.SecretUnresolved:    "A header of the endpoint refers to a secret or variable that the edge does not have.",
	fault.SnapshotMissing:     "The edge has started and does not know any endpoint or key yet.",
	fault.SpoolUnavailable:    "The edge cannot write down what requests cost, and lets none through that costs something.",
	fault.ShuttingDown:        "The edge is finishing its requests and takes no new ones.",
	fault.UpgradeUnsupported:  "The request asks for another protocol on the same connection that cannot be had here: anything but WebSocket over HTTP/1.1.",
	fault.NotPriced:           "The endpoint is priced by meters, none of which reads this request, and it refuses what has no price.",
	fault.ModelNotFound:       "The endpoint serves models, and the request names one that nobody has configured, or none at all.",
	fault.ModelNotAllowed:     "The key may ask for some models only, and the one that the request names is not among them.",
	fault.RequestUnsupported:  "The request asks for something that the schema of the model's vendor cannot say; the message names the field.",
	fault.AdapterUnavailable:  "The adapter that translates for this endpoint or deployment cannot be reached, or its breaker is open.",
	fault.AdapterFailed:       "The adapter has answered with an error, too late, too much, or something that makes no sense.",
	fault.UpstreamRefused:     "The vendor has refused the credential that the gateway sends for this deployment. The caller's key is fine.",
	fault.UpstreamAnswerWrong: "The vendor's answer is not what its schema says, or broke off, so that it cannot be translated.",
	fault.UpstreamUnavailable: "Every target of the endpoint is left alone for now: its breaker is open, its health check fails, or it was ejected.",
	fault.UpstreamThrottled:   "The vendor has asked to wait, and every credential of the endpoint has to.",
	fault.HeadersTooLarge:     "The request has more header lines, or longer ones, than the edge takes.",
	fault.RequestMalformed:    "The request is not HTTP as its rules are written down, or could be read in two ways.",
	fault.EncodingUnsupported: "The request's body is sent in a transfer encoding other than chunked.",
	fault.EndpointDisabled:    "An administrator has switched the endpoint off.",
	fault.KeyBlocked:          "An administrator has blocked the key, or the team that it belongs to, for now.",
	fault.CustomerBlocked:     "An administrator has blocked the customer that the request is charged to.",
	fault.CustomerRequired:    "Every request has to name a customer, and this one names none.",
	fault.CustomerUnavailable: "The request names a customer for the first time, and the control plane has not told its budget in time.",
	fault.ManagedByFile:       "A file that was applied owns the object, so what is changed by other means would be undone.",
	fault.IdempotencyReused:   "The same Idempotency-Key came before with another call, or its first call has not ended or was lost.",
	fault.InvalidArgument:     "Something in the command or the request can never work as it is.",
	fault.ObjectNotFound:      "There is nothing of that name or id.",
	fault.AlreadyExists:       "The name, or the path and method, is taken.",
	fault.StaleETag:           "Somebody changed it after it was read.",
	fault.FailedPrecondition:  "Something else must be changed first.",
	fault.UnauthenticatedErr:  "The control plane wants an admin token, and got none that it knows.",
	fault.PermissionDenied:    "The token is known and may not do this.",
	fault.UnavailableErr:      "A server could not be reached, or said that it cannot answer now.",
	fault.DeadlineExceeded:    "It took longer than was allowed.",
	fault.InternalError:       "Something broke inside Tollgate; its log has the details.",

	fault.SignatureUnsupported: "The request is signed for AWS. A signature covers the host and the path that the request was sent to, which are others at the target, so it could not hold there.",
}
