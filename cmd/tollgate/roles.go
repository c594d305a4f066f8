package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"tollgate/controlplane"
	"tollgate/edge/preview"
	"tollgate/internal/cli"
	"tollgate/internal/config"
	"tollgate/internal/fault"
	"tollgate/internal/footprint"
	"tollgate/internal/telemetry"
	"tollgate/ledger"
)

// envPrefix begins the name of every variable that overrides a setting.
const envPrefix = "TOLLGATE_"

// flushWithin is how long spans may take to leave when a role stops.
const flushWithin = 3 * time.Second

// logging is how any server command logs.
type logging struct{ format, level string }

func (l *logging) flags(cmd *cobra.Command, format, level string) {
	cmd.Flags().StringVar(&l.format, "log-format", format, "log format: json or text")
	cmd.Flags().StringVar(&l.level, "log-level", level, "log level: debug, info, warn or error")
}

func (l *logging) logger() (*slog.Logger, error) {
	if err := telemetry.CheckLogging(l.format, l.level); err != nil {
		return nil, err
	}
	return telemetry.NewLogger(os.Stderr, l.format, l.level), nil
}

// roleCommand makes the command of one role: settings from its YAML file, then the environment, then
// flags. before may set others first, which all of these replace; it may be nil.
func roleCommand[C any, P interface {
	*C
	config.Validator
}](name, short string, defaults func() C, before func(ctx context.Context, file string, getenv func(string) (string, bool), cfg P) error, serve func(context.Context, C, *slog.Logger, trace.TracerProvider) error,
) *cobra.Command {
	cfg := defaults()
	settings, err := config.Settings(envPrefix, P(&cfg))
	if err != nil {
		panic(err) // a mistake in the struct, found by any test that makes the command
	}
	var file string
	var check bool
	var logs logging
	flags := map[string]*string{}
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Long: short + ".\n\nSettings come from the file, then from the environment, then from flags. " +
			"Each setting is a key of the file (nats.url), a variable (" + envPrefix + "NATS_URL) and, unless it is a credential, a flag (--nats-url).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logs.logger()
			if err != nil {
				return err
			}
			getenv := func(key string) (string, bool) {
				if v, ok := flags[key]; ok && cmd.Flags().Changed(flagOf(settings, key)) {
					return *v, true
				}
				return os.LookupEnv(key)
			}
			if before != nil {
				if err := before(cmd.Context(), file, getenv, P(&cfg)); err != nil {
					return err
				}
			}
			if err := config.Load(file, envPrefix, getenv, P(&cfg)); err != nil {
				return fault.New(fault.InvalidArgument, "The settings of this %s are not usable:\n%s", name, err).
					WithHint("Correct what is named; tollgate %s --help lists all settings.", name)
			}
			if check {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "ok")
				return err
			}
			ctx := cmd.Context()
			footprint.Fit(os.LookupEnv, log)
			tracer, flush, err := telemetry.Tracing(ctx, "tollgate-"+name, telemetry.Version(), os.Getenv)
			if err != nil {
				return err
			}
			err = serve(ctx, cfg, log, tracer)
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
			defer cancel()
			return errors.Join(err, flush(last))
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file with settings")
	cmd.Flags().BoolVar(&check, "check", false, "check the settings and exit")
	logs.flags(cmd, "json", "info")
	for _, s := range settings {
		if !s.Secret {
			value := &setting{kind: "string"}
			flags[s.Env] = &value.text
			flag := cmd.Flags().VarPF(value, s.Flag, "", usage(s))
			if s.Default == "true" || s.Default == "false" {
				value.kind, flag.NoOptDefVal = "bool", "true"
			}
		}
	}
	return cmd
}

// setting is the text of a flag, which is read where the file's and the environment's are read. A
// bool may stand without a value.
type setting struct{ text, kind string }

func (s *setting) String() string        { return s.text }
func (s *setting) Type() string          { return s.kind }
func (s *setting) Set(text string) error { s.text = text; return nil }

func usage(s config.Setting) string {
	if s.Default == "" || s.Default == "[]" {
		return fmt.Sprintf("setting %s ($%s)", s.Key, s.Env)
	}
	return fmt.Sprintf("setting %s ($%s), by default %s", s.Key, s.Env, s.Default)
}

func flagOf(settings []config.Setting, env string) string {
	for _, s := range settings {
		if s.Env == env {
			return s.Flag
		}
	}
	return ""
}

func controlplaneCommand() *cobra.Command {
	return roleCommand("controlplane", "Run a control plane", controlplane.DefaultConfig, nil,
		func(ctx context.Context, cfg controlplane.Config, log *slog.Logger, tracer trace.TracerProvider) error {
			s, err := controlplane.New(ctx, cfg, controlplane.Deps{Log: log, Tracer: tracer, Drafts: preview.New(log)})
			if err != nil {
				return err
			}
			return s.Run(ctx)
		})
}

func ledgerCommand(root *cli.Root) *cobra.Command {
	cmd := roleCommand("ledger", "Run a ledger", ledger.DefaultConfig, nil,
		func(ctx context.Context, cfg ledger.Config, log *slog.Logger, _ trace.TracerProvider) error {
			s, err := ledger.New(ctx, cfg, ledger.Deps{Log: log})
			if err != nil {
				return err
			}
			return s.Run(ctx)
		})
	cmd.AddCommand(bookCommands(root)...)
	return cmd
}

// migrateCommand is the only thing outside dev that changes a schema.
func migrateCommand() *cobra.Command {
	var logs logging
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schemas up to this version",
		Long: "Bring the schemas control and ledger up to this version, under a lock: several at once do no harm. " +
			"The database is $" + envPrefix + "DATABASE_URL, or $DATABASE_URL. Serving roles refuse to start before it has run.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logs.logger()
			if err != nil {
				return err
			}
			url, err := databaseURL()
			if err != nil {
				return err
			}
			err = controlplane.Migrate(cmd.Context(), url, log)
			if err == nil {
				err = ledger.Migrate(cmd.Context(), url, log)
			}
			if err == nil {
				log.InfoContext(cmd.Context(), "the schemas are up to date")
			}
			return databaseFailure(err, checkDatabase)
		},
	}
	logs.flags(cmd, "text", "info")
	return cmd
}
