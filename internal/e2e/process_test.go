package e2e_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/internal/gobuild"
	"tollgate/internal/testenv"
)

// binaries are built once for all tests.
type binaries struct{ tollgate, tollgateNoIntents, nats, adapter, client string }

func build(dir string) (binaries, error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	b := binaries{in("tollgate"), in("tollgate-no-intents"), in("nats-server"), in("adapter-go"), in("client-go")}
	ctx := context.Background()
	return b, cmp.Or(
		gobuild.Build(ctx, b.tollgate, gobuild.Tollgate),
		// The negative control of the crash test: the same edge without its intents.
		gobuild.Build(ctx, b.tollgateNoIntents, gobuild.Tollgate, "-tags", "drop_intents"),
		gobuild.Build(ctx, b.nats, "github.com/nats-io/nats-server/v2"),
		gobuild.Build(ctx, b.adapter, "tollgate/docs/examples/adapter-go"),
		gobuild.Build(ctx, b.client, "tollgate/docs/examples/client-go"),
	)
}

// process is one role, or nats-server, that a test starts, kills and starts again.
type process struct {
	t    *testing.T
	name string
	path string
	args []string
	env  []string
	log  string // its output, appended over all its lives

	cmd  *exec.Cmd
	done chan struct{} // closed when the current life has ended
	err  error         // how it ended; valid after done
}

func newProcess(t *testing.T, name, path string, args, env []string) *process {
	t.Helper()
	p := &process{t: t, name: name, path: path, args: args, env: env, log: filepath.Join(t.TempDir(), name+".log")}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			if out, err := os.ReadFile(p.log); err == nil {
				t.Logf("--- %s\n%s", p.name, tail(out, 6000))
			}
		}
	})
	return p
}

func tail(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}

func (p *process) start() {
	p.t.Helper()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TOLLGATE_CONFIG=" + p.log + ".contexts"}, p.env...)
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		p.err = cmd.Wait()
		_ = out.Close()
		close(done)
	}()
}

// kill is kill -9; it returns when the process is gone.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	p.cmd = nil
}

// stop is SIGTERM; the process must end by itself and without an error.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("stop %s: %v", p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.t.Fatalf("%s did not stop within 30 s", p.name)
	}
	p.cmd = nil
	if p.err != nil {
		p.t.Fatalf("%s ended with %v", p.name, p.err)
	}
}

// awaitHTTP returns once url answers 200.
func (p *process) awaitHTTP(url string) {
	p.t.Helper()
	testenv.Eventually(p.t, 30*time.Second, func() error {
		select {
		case <-p.done:
			out, _ := os.ReadFile(p.log)
			p.t.Fatalf("%s ended: %v\n%s", p.name, p.err, tail(out, 3000))
		default:
		}
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(resp.Body)
			return fmt.Errorf("%s: %s %s", url, resp.Status, body)
		}
		return nil
	})
}

// freePort is a TCP port of 127.0.0.1 that nobody listens on. Roles need ports that stay the same
// over restarts.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		if n := somePort(t); !givenPorts(n) {
			return n
		}
	}
}

// givenPorts notes that a port is given away, and says whether it was before: whoever has it may not be
// listening yet.
var givenPorts = func() func(int) bool {
	var given sync.Map
	return func(n int) bool {
		_, before := given.LoadOrStore(n, true)
		return before
	}
}()

// somePort is below the ports that systems give to whoever does not ask for one, which are those of other
// tests' servers and of all outgoing connections: they could have it before a role listens, or while it is down.
func somePort(t *testing.T) int {
	t.Helper()
	const first, past = 20_000, 32_000
	for range past - first {
		n := first + rand.IntN(past-first)
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(n)); err == nil {
			l.Close()
			return n
		}
	}
	t.Fatal("no port is free")
	return 0
}

var errStillThere = errors.New("not yet")

// eventually is how long anything may take that must happen in the end.
const eventually = 30 * time.Second

// promptly measures a change until it is in force everywhere. It has a second for that; a machine that has other things
// to do may need longer, as it does for any change, but not every time.
func (c *cluster) promptly(what string, change func() time.Duration) {
	c.t.Helper()
	best := eventually
	c.endpoint("promptly", "/promptly", "")
	for i := range 5 {
		usual := c.inForce(c.rpc.keys, fmt.Sprintf("promptly-%d", i), "/promptly/x")
		if best = min(best, change()-5*usual); best <= time.Second {
			return
		}
	}
	c.t.Errorf("%s took at least %s longer than five keys until every edge knew; want at most a second", what, best)
}
