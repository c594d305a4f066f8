package devstack_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"tollgate/internal/devstack"
	"tollgate/internal/fault"
)

// Guarantee: what cannot work, would open a key that everyone knows to the network, or would throw
// away the keys to a database that stays, is refused before a file is made or deleted.
func TestRefusedBeforeAnythingIsTouched(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*devstack.Options){
		"no edge":                     func(o *devstack.Options) { o.Edges = 0 },
		"no such port":                func(o *devstack.Options) { o.Port = 65536 },
		"no such control port":        func(o *devstack.Options) { o.ControlPort = -1 },
		"too many partitions":         func(o *devstack.Options) { o.Partitions = 1000 },
		"the demo for the network":    func(o *devstack.Options) { o.Demo, o.Host = true, "0.0.0.0" },
		"the demo for every network":  func(o *devstack.Options) { o.Demo, o.Host = true, "" },
		"the demo and sample data":    func(o *devstack.Options) { o.Demo, o.SampleData = true, true },
		"too much sample traffic":     func(o *devstack.Options) { o.SampleData, o.Traffic = true, 1001 },
		"no such port of NATS":        func(o *devstack.Options) { o.NATSPort = 65536 },
		"reset beside a database":     func(o *devstack.Options) { o.Reset, o.DatabaseURL = true, "postgres://nowhere.invalid/x" },
		"reset of some other folder":  func(o *devstack.Options) { o.Reset, o.Dir = true, filepath.Dir(o.Dir) },
		"no such port, and reset too": func(o *devstack.Options) { o.Reset, o.Port = true, 70000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := devstack.Options{
				Dir: filepath.Join(t.TempDir(), "data"), Host: "127.0.0.1", Edges: 1, Log: slog.New(slog.DiscardHandler),
			}
			dir := o.Dir
			change(&o)
			err := devstack.Run(t.Context(), o)
			if refused, ok := errors.AsType[*fault.Error](err); !ok || refused.Kind() != fault.Invalid || refused.Hint == "" {
				t.Errorf("Run: %v; want a refusal that says what to do", err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the data directory was made: %v", err)
			}
			if _, err := os.Stat(filepath.Dir(dir)); err != nil {
				t.Errorf("the folder above is gone: %v", err)
			}
		})
	}
}
