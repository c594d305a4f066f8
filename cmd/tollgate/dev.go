package main

import (
	"os"

	"github.com/spf13/cobra"

	"tollgate/controlplane/litellm"
	"tollgate/internal/devstack"
	"tollgate/internal/fault"
)

// devCommand runs everything in one process.
func devCommand() *cobra.Command {
	var o devstack.Options
	var logs logging
	var file string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process: gateway, control plane, ledger, NATS and a private database",
		Long: "Run everything in one process: gateway, control plane, ledger, NATS and a private database. " +
			"Where DATABASE_URL is set, that PostgreSQL database is used and nothing private is started.",
		Example: `  tollgate dev --demo
  tollgate dev --config config.yaml
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
				convert := litellm.Converter{Getenv: os.Getenv}
				if o.Plan, err = convert.Convert(file, raw); err != nil {
					return err
				}
				o.PlanFile = file
			}
			o.Log, o.Out, o.DatabaseURL = log, cmd.OutOrStdout(), os.Getenv("DATABASE_URL")
			return databaseFailure(devstack.Run(cmd.Context(), o),
				"DATABASE_URL names it: correct it, or unset it to run a private database.")
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Demo, "demo", false, "add a mock vendor, endpoints to it, a key and a budget")
	f.StringVar(&file, "config", "", "LiteLLM config.yaml to apply at start")
	f.StringVar(&o.Dir, "data", ".tollgate", "data directory")
	f.StringVar(&o.Host, "host", "127.0.0.1", "address to listen on")
	f.IntVar(&o.Port, "port", 4000, "port of the gateway; the next free one is taken if it is busy")
	f.IntVar(&o.ControlPort, "control-port", 4001, "port of the control plane; the next free one is taken if it is busy")
	f.IntVar(&o.Edges, "edges", 1, "how many edges to run")
	f.IntVar(&o.Partitions, "partitions", 0, "how many partitions the ledger has, for as long as the data is kept (1 if not given)")
	f.BoolVar(&o.Reset, "reset", false, "delete the data directory first")
	logs.flags(cmd, "text", "warn")
	return cmd
}
