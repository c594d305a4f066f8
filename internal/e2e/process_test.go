package e2e_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/gobuild"
	"tollgate/internal/program"
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
	program.Program

	t    *testing.T
	life *program.Life // nil between two
}

func newProcess(t *testing.T, name, path string, args, env []string) *process {
	t.Helper()
	log := filepath.Join(t.TempDir(), name+".log")
	p := &process{t: t, Program: program.Program{Name: name, Path: path, Args: args, Env: append([]string{"TOLLGATE_CONFIG=" + log + ".contexts"}, env...), Log: log}}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("--- %s\n%s", name, p.Tail(6000))
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	var err error
	if p.life, err = p.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill is kill -9; it returns when the process is gone.
func (p *process) kill() {
	if p.life != nil {
		p.life.Kill()
		p.life = nil
	}
}

// stop is SIGTERM; the process must end by itself and without an error.
func (p *process) stop() {
	p.t.Helper()
	if err := p.life.End(30 * time.Second); err != nil {
		p.t.Fatal(err)
	}
	p.life = nil
}

// signal sends a signal to the present life.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.life.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// awaitHTTP returns once url answers 200.
func (p *process) awaitHTTP(url string) {
	p.t.Helper()
	if err := p.life.Await(p.t.Context(), program.Answers(url)); err != nil {
		p.t.Fatal(err)
	}
}

// logged says whether a process has logged a message, in any of its lives.
func (p *process) logged(message string) bool {
	return strings.Contains(p.text(), fmt.Sprintf("%q:%q", "msg", message))
}

// text is what all lives have written.
func (p *process) text() string {
	p.t.Helper()
	out, err := os.ReadFile(p.Log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(out)
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
