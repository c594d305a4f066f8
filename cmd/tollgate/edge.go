package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"tollgate/edge"
	"tollgate/edge/join"
	"tollgate/internal/config"
	"tollgate/internal/fault"
	"tollgate/internal/telemetry"
)

// joinTokenEnv holds a join token where it should not stand on a command line.
const joinTokenEnv = envPrefix + "JOIN_TOKEN"

// joining is what an edge is told on the command line to get its settings from a control plane.
type joining struct {
	url, token, tokenFile string
	insecure              bool
}

func (j *joining) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&j.url, "join", "", "control plane to get the settings from at the first start")
	f.StringVar(&j.token, "token", "", "join token ($"+joinTokenEnv+")")
	f.StringVar(&j.tokenFile, "token-file", "", "file that holds the join token")
	f.BoolVar(&j.insecure, "insecure-join", false, "join over plain HTTP, also to another machine")
}

func (j *joining) secret() (string, error) {
	switch {
	case j.token != "":
		return j.token, nil
	case j.tokenFile != "":
		raw, err := os.ReadFile(j.tokenFile)
		if err != nil {
			return "", fault.New(fault.InvalidArgument, "--token-file: %v.", err).WithHint("Check the file's name.")
		}
		return strings.TrimSpace(string(raw)), nil
	default:
		return os.Getenv(joinTokenEnv), nil
	}
}

// load puts the settings of a control plane below those that the operator has set otherwise.
func (j *joining) load(ctx context.Context, file string, getenv func(string) (string, bool), cfg *edge.Config) error {
	// Where the data lies, and what the edge wants to be called, may be set in any of the ways; what is missing so far does not
	// matter yet.
	known := edge.DefaultConfig()
	_ = config.Load(file, envPrefix, getenv, &known)
	if j.url != "" {
		token, err := j.secret()
		if err != nil {
			return err
		}
		if err := join.Fetch(ctx, join.Options{
			URL: j.url, Token: token, Node: known.Name, Version: telemetry.Version(), Dir: known.DataDir, Insecure: j.insecure,
		}); err != nil {
			return err
		}
	}
	if joined := join.File(known.DataDir); joined != "" {
		return config.Load(joined, "", getenv, cfg)
	}
	return nil
}

func edgeCommand() *cobra.Command {
	j := &joining{}
	cmd := roleCommand("edge", "Run an edge", edge.DefaultConfig, j.load,
		func(ctx context.Context, cfg edge.Config, log *slog.Logger, tracer trace.TracerProvider) error {
			n, err := edge.New(ctx, cfg, edge.Deps{Log: log, Getenv: os.LookupEnv, Tracing: tracer})
			if err != nil {
				return err
			}
			return n.Run(ctx)
		})
	j.flags(cmd)
	cmd.Long += " An edge that has joined a control plane has the settings that it got there below all of these."
	cmd.Example = "  tollgate edge --config edge.yaml --check\n  tollgate edge --join https://control.example.com --token-file /run/secrets/join-token"
	return cmd
}
