package natsd_test

import (
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"tollgate/internal/natsd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Guarantee: what a stream acknowledged is there after a restart on the same
// directory, in-process clients need no port, and nothing runs on after Stop.
func TestRestartKeepsMessages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 2 {
		s, err := natsd.Start(natsd.Options{StoreDir: dir, SyncAll: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		if s.URL() != "" {
			t.Errorf("listens on %s without a port", s.URL())
		}
		nc, err := nats.Connect("", s.ClientOption())
		if err != nil {
			t.Fatal(err)
		}
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), "s", nil); err != nil {
			t.Fatal(err)
		}
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := uint64(round + 1); info.State.Msgs != want {
			t.Errorf("round %d: %d messages, want %d", round, info.State.Msgs, want)
		}
		nc.Close()
		s.Stop()
	}
}

func TestFreePort(t *testing.T) {
	t.Parallel()
	s, err := natsd.Start(natsd.Options{Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	nc, err := nats.Connect(s.URL(), nats.Timeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestUnusableStore(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := natsd.Start(natsd.Options{StoreDir: file}); err == nil {
		s.Stop()
		t.Error("started without a place for streams")
	}
}
