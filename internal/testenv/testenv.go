// Package testenv gives tests real servers: a PostgreSQL database of their
// own, a NATS server, an upstream to call. A test never skips for want of one;
// it fails, so that a green run means that every test ran.
//
// Only tests may import it. It starts the PostgreSQL server of a test run once
// and shares it; everything else belongs to a single test and ends with it.
package testenv

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tollgate/internal/natsd"
	"tollgate/internal/testenv/vendor"
)

// Main runs a package's tests, stops the shared server and reports goroutines
// that were left behind. Its result is for os.Exit:
//
//	func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
//
// Without it the server goes down with the process, and leaks go unseen.
func Main(m *testing.M, opts ...goleak.Option) int {
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(opts...); err != nil {
			fmt.Fprintln(os.Stderr, "testenv:", err)
			code = 1
		}
	}
	return code
}

// NATS starts a server with JetStream for this test, on a free TCP port.
func NATS(tb testing.TB) *natsd.Server {
	tb.Helper()
	s, err := natsd.Start(natsd.Options{StoreDir: tb.TempDir(), Port: -1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Stop)
	return s
}

// Vendor starts an upstream for this test.
func Vendor(tb testing.TB) *vendor.Vendor {
	tb.Helper()
	return vendor.New(tb)
}

// Logger writes to the test's log, which shows it only if the test fails.
func Logger(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(testWriter{tb}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ tb testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.tb.Helper()
	w.tb.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// Eventually asks cond again and again until it returns nil, and fails the
// test with its last error if it does not within the time. It is for effects
// in other processes; inside this one, a channel says more and sooner.
func Eventually(tb testing.TB, within time.Duration, cond func() error) {
	tb.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(min(10*time.Millisecond, max(within/10, time.Millisecond)))
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			// Once more, for a cond that took longer than the time left.
			if err = cond(); err != nil {
				tb.Fatalf("not within %s: %v", within, err)
			}
			return
		}
	}
}
