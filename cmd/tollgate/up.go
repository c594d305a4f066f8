package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/cli"
	"tollgate/internal/devstack"
	"tollgate/internal/fault"
	"tollgate/internal/footprint"
)

// defaultFile is what is applied where it is there and nothing else is named.
const defaultFile = "tollgate.yaml"

// upFlags are what `up` can be told.
type upFlags struct {
	files                []string
	data                 string
	serve                devstack.Serve
	logs                 logging
	detach, stop, reload bool

	told bool // whether the file with the process id is this one's
}

// upCommand runs everything on one machine for others to use.
func upCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on one machine, with what tollgate.yaml says",
		Long: `Run the gateway, the control plane, the ledger and NATS in one process, for production on one machine, and apply
tollgate.yaml. The database is the one that DATABASE_URL names; without it, a private one is kept in the data directory. The
file is applied again on SIGHUP, or with --reload; where it is wrong, the configuration stays as it was.

It stays in front, as a service manager wants it. With --detach it goes to the background once it serves; --stop ends it.`,
		Example: `  tollgate up -f tollgate.yaml --data /var/lib/tollgate
  tollgate up --detach && tollgate status
  tollgate up --reload
  tollgate up --stop`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.stop:
				return stopUp(cmd, f.data)
			case f.reload:
				return signalUp(f.data, syscall.SIGHUP)
			case f.detach:
				return detachUp(cmd, f.data)
			}
			return f.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "file", "f", nil, "file or folder to apply; may be repeated (tollgate.yaml if it is there)")
	flags.StringVar(&f.data, "data", ".tollgate", "data directory")
	flags.StringVar(&f.serve.Listen, "listen", ":4000", "address of the gateway")
	flags.StringVar(&f.serve.ControlListen, "control-listen", "127.0.0.1:4001", "address of the control plane; put TLS in front of it before others reach it")
	flags.StringVar(&f.serve.AdminListen, "admin-listen", "127.0.0.1:4010", "address for metrics and probes of the gateway; empty for none")
	flags.StringVar(&f.serve.PublicURL, "public-url", "", "where browsers reach the control plane, such as https://tollgate.example.com")
	flags.StringVar(&f.serve.CertFile, "tls-cert", "", "certificate of the gateway, in PEM")
	flags.StringVar(&f.serve.KeyFile, "tls-key", "", "key of the certificate, in PEM")
	flags.BoolVar(&f.serve.Private, "allow-private-targets", false, "let targets be on loopback and private addresses")
	flags.BoolVar(&f.detach, "detach", false, "go to the background once everything serves; the log is up.log in the data directory")
	flags.BoolVar(&f.stop, "stop", false, "end the one that runs on the data directory")
	flags.BoolVar(&f.reload, "reload", false, "have the one that runs on the data directory apply its files again")
	f.logs.flags(cmd, "text", "info")
	return cmd
}

func (f *upFlags) run(cmd *cobra.Command) error {
	log, err := f.logs.logger()
	if err != nil {
		return err
	}
	if (f.serve.CertFile == "") != (f.serve.KeyFile == "") {
		return fault.New(fault.InvalidArgument, "A certificate needs its key, and a key its certificate.").WithHint("Give both --tls-cert and --tls-key, or none.")
	}
	names := f.files
	if _, err := os.Stat(defaultFile); len(names) == 0 && err == nil {
		names = []string{defaultFile}
	}
	f.serve.Files = func() (*controlv1.ConfigInput, error) {
		if len(names) == 0 {
			return nil, nil
		}
		return cli.ReadConfig(cli.Process(), names, secretSources)
	}
	if _, err := f.serve.Files(); err != nil {
		return err // before anything is started for it
	}
	footprint.Fit(os.LookupEnv, log)
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	f.serve.Again = again
	f.serve.Served = f.served
	err = devstack.Run(cmd.Context(), devstack.Options{
		Dir: f.data, Host: "127.0.0.1", Edges: 1, DatabaseURL: os.Getenv("DATABASE_URL"),
		Serve: &f.serve, Out: cmd.OutOrStdout(), Log: log,
	})
	if f.told {
		if left := os.Remove(pidFile(f.data)); !errors.Is(left, fs.ErrNotExist) {
			err = errors.Join(err, left)
		}
	}
	return databaseFailure(err, "DATABASE_URL names it: correct it, or unset it to run a private database.")
}

// served leaves what --stop and --reload need, and tells whoever waits for it.
func (f *upFlags) served() error {
	if err := os.WriteFile(pidFile(f.data), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600); err != nil {
		return err
	}
	f.told = true
	return tellReady()
}

func pidFile(data string) string { return filepath.Join(data, "up.pid") }
func logFile(data string) string { return filepath.Join(data, "up.log") }
