package main

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"tollgate/controlplane/declare"
	"tollgate/controlplane/litellm"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/cli"
	"tollgate/internal/cli/contexts"
	"tollgate/internal/devstack"
	"tollgate/internal/fault"
	"tollgate/internal/footprint"
)

// saysVersion tells tollgate.yaml from the files of others: it says which version of its form it has.
func saysVersion(text []byte) bool {
	var top struct {
		Version yaml.Node `yaml:"version"`
	}
	return yaml.Unmarshal(text, &top) == nil && !top.Version.IsZero()
}

// filesInput is a file of configuration with the values of secrets that it has on this machine. One that is not there is left to the
// data, which may have it from before.
func filesInput(name string, text []byte) (*controlv1.ConfigInput, error) {
	in := &controlv1.ConfigInput{
		Dialect: controlv1.ConfigDialect_CONFIG_DIALECT_TOLLGATE, Files: []*controlv1.ConfigFile{{Name: name, Text: text}}, Secrets: map[string]string{},
	}
	for secret, source := range declare.Sources([]declare.File{{Name: name, Text: text}}) {
		if variable, ok := strings.CutPrefix(source, "env/"); ok {
			if value := os.Getenv(variable); value != "" {
				in.Secrets[secret] = value
			}
			continue
		}
		raw, err := os.ReadFile(strings.TrimPrefix(source, "file/"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "The file with the secret %s cannot be read: %v.", secret, err)
		}
		in.Secrets[secret] = strings.TrimRight(string(raw), "\r\n")
	}
	return in, nil
}

// devCommand runs everything in one process.
func devCommand() *cobra.Command {
	var o devstack.Options
	var logs logging
	var file, consoleDev string
	var open bool
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process: gateway, control plane, ledger, NATS and a private database",
		Long: "Run everything in one process: gateway, control plane, ledger, NATS and a private database. " +
			"Where DATABASE_URL is set, that PostgreSQL database is used and nothing private is started.",
		Example: `  tollgate dev --demo
  tollgate dev --sample-data --edges 4
  tollgate dev --config tollgate.yaml
  tollgate dev --edges 3`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logs.logger()
			if err != nil {
				return err
			}
			if file != "" {
				raw, err := os.ReadFile(file)
				if err != nil {
					return fault.New(fault.InvalidArgument, "--config: %v.", err).WithHint("Check the file's name.")
				}
				o.PlanFile = file
				if saysVersion(raw) {
					if o.Files, err = filesInput(file, raw); err != nil {
						return err
					}
				} else if o.Plan, err = (litellm.Converter{Getenv: os.Getenv}).Convert(file, raw); err != nil {
					return err
				}
			}
			if consoleDev != "" {
				if o.ConsoleDev, err = url.Parse(consoleDev); err != nil || o.ConsoleDev.Host == "" {
					return fault.New(fault.InvalidArgument, "--console-dev: %q is no URL such as http://localhost:5173.", consoleDev).
						WithHint("Run `make console-dev` and name its address.")
				}
			}
			if open {
				o.Browse = cli.Process().Browse
			}
			if cmd.Flags().Changed("nats-port") && o.NATSPort == 0 {
				o.NATSPort = -1
			}
			footprint.Fit(os.LookupEnv, log)
			o.Contexts = contexts.Path(os.Getenv)
			o.Log, o.Out, o.DatabaseURL = log, cmd.OutOrStdout(), os.Getenv("DATABASE_URL")
			return databaseFailure(devstack.Run(cmd.Context(), o),
				"DATABASE_URL names it: correct it, or unset it to run a private database.")
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Demo, "demo", false, "add a mock vendor, endpoints to it, a key and a budget")
	f.BoolVar(&o.SampleData, "sample-data", false, "make teams, people, keys, budgets and endpoints with a month of spend, to look around in")
	f.IntVar(&o.Traffic, "sample-traffic", 5, "requests a second that go on with --sample-data; 0 for none")
	f.StringVar(&file, "config", "", "tollgate.yaml, or a LiteLLM config.yaml, to apply at start")
	f.StringVar(&o.Dir, "data", ".tollgate", "data directory")
	f.StringVar(&o.Host, "host", "127.0.0.1", "address to listen on")
	f.IntVar(&o.Port, "port", 4000, "port of the gateway; the next free one is taken if it is busy")
	f.StringVar(&o.LiteLLMAPI, "litellm-api", "", "address of LiteLLM's management calls, for scripts that make them, such as 127.0.0.1:4005")
	f.IntVar(&o.ControlPort, "control-port", 4001, "port of the control plane; the next free one is taken if it is busy")
	f.IntVar(&o.Edges, "edges", 1, "how many edges to run")
	f.IntVar(&o.NATSPort, "nats-port", 0, "open NATS to this machine, without a password, so that edges of other processes can join (not opened if not given)")
	f.IntVar(&o.Partitions, "partitions", 0, "how many partitions the ledger has, for as long as the data is kept (1 if not given)")
	f.BoolVar(&open, "open", false, "open the console in a browser")
	f.StringVar(&consoleDev, "console-dev", "", "take the console's pages from the server that make console-dev runs at this `URL`, such as http://localhost:5173")
	f.BoolVar(&o.Reset, "reset", false, "delete the data directory first")
	logs.flags(cmd, "text", "warn")
	return cmd
}
