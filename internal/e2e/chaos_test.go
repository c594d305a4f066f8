package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
)

// Guarantee: whatever is killed with -9 and started again, in whatever order and several at a time, what
// no budget refuses passes on every edge that runs, no budget is overspent at any moment, no limit lets
// more pass than it says, and once all is up the books equal what the vendor counted to the nano-dollar,
// nothing is left in a spool, what dead edges held is free, one edge alone can spend the rest of the
// budget, and the books verify. That holds for edges, ledgers (one or both), the control plane,
// PostgreSQL, nats-server with and without its disk, a stream that is deleted under it, and a ledger
// that stands still for longer than another one needs to take its place.
//
// TOLLGATE_CHAOS_SEED repeats a run, and TOLLGATE_CHAOS, a duration, makes a longer one.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TOLLGATE_CHAOS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	long, err := time.ParseDuration("0" + os.Getenv("TOLLGATE_CHAOS"))
	if err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(seed, 0))
	partitions, ahead := []int{1, 4}[dice.IntN(2)], []int{1, 16, 100_000}[dice.IntN(3)]
	t.Logf("TOLLGATE_CHAOS_SEED=%d TOLLGATE_CHAOS=%s: %d partitions, %d requests ahead", seed, long, partitions, ahead)

	opts := []option{withOwnPostgres, withEdges(3), withPartitions(partitions), withLeaseAhead(ahead)}
	if dice.IntN(2) == 0 {
		opts = append(opts, withLedgerURLs)
	}
	x := newChaos(start(t, opts...), dice)
	x.begin()
	x.await(300)
	ends := time.Now().Add(long)
	for i := 0; i < 8 || time.Now().Before(ends); i++ {
		switch {
		case i%8 == 2:
			x.flipBoth()
		case i%8 == 4:
			x.deleteStreams()
		case i%8 == 6:
			x.freezeLeader()
		default:
			x.round()
		}
		x.await(30 + dice.IntN(200))
		x.checkLimit()
	}
	x.recoverAll()
	x.end()
	x.checkBooks()
	x.spendRest()
	x.checkBooks()
	x.checkLimits()
	x.checkDatabase()
	for _, e := range x.c.edges {
		e.stop()
	}
	if stdout, stderr, code := x.c.books("verify"); code != 0 {
		t.Errorf("ledger verify exited %d:\n%s%s", code, stdout, stderr)
	}
}

// chaos is a cluster under traffic on which a seeded schedule plays.
type chaos struct {
	*mixed
	t         *testing.T
	dice      *rand.Rand
	parts     []*part
	ledgers   []*process
	kills     int                // of edges
	limit     money.Nanos        // of the budget that is spent to its end
	softID    string             // id of the budget that only warns
	charged   map[string]charged // by budget id, what is to be charged to it
	polled    int                // how often the accounts were looked at
	pollEnded chan struct{}
}

// charged is what a budget is to be charged.
type charged struct {
	name string
	of   func(*kind) bool
}

// part is something that can be killed.
type part struct {
	name        string
	up          bool
	kill, start func()
}

// newChaos makes endpoints, keys, budgets and limits.
func newChaos(c *cluster, dice *rand.Rand) *chaos {
	t := c.t
	x := &chaos{mixed: &mixed{
		c: c, kinds: kinds(), keys: map[string]string{}, sizes: rand.New(rand.NewPCG(dice.Uint64(), 1)), begun: map[int]time.Time{},
		passed: map[string]int{}, refused: map[string]int{}, running: map[string]int{}, most: map[string]int{},
	}, t: t, dice: dice, limit: 2 * money.Dollar, charged: map[string]charged{}, pollEnded: make(chan struct{})}
	c.must(c.rpc.teams.CreateTeam(t.Context(), &controlv1.CreateTeamRequest{Name: "crew"}))
	for _, k := range x.kinds {
		c.endpoint(k.name, "/"+k.name, "", func(e *controlv1.Endpoint) {
			e.Targets[0].Url += "/" + k.name
			e.Price = k.price(k)
		})
		if x.keys[k.key] == "" {
			x.keys[k.key] = c.key(k.key, func(r *controlv1.CreateKeyRequest) {
				if k.key == "hard" {
					r.Team, r.Tags = "crew", []string{"ci"}
				}
			})
		}
	}
	budget := func(name string, amount money.Nanos, period controlv1.Period, of func(*kind) bool, change func(*controlv1.Budget)) string {
		b := &controlv1.Budget{Name: name, Amount: contract.MoneyToProto(amount), Period: period}
		change(b)
		resp, err := c.rpc.budgets.CreateBudget(t.Context(), &controlv1.CreateBudgetRequest{Budget: b})
		if err != nil {
			t.Fatal(err)
		}
		x.charged[resp.GetBudget().GetId()] = charged{name, of}
		return resp.GetBudget().GetId()
	}
	onKey := func(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Key{Key: "hard"} }
	const plenty = 1000 * money.Dollar
	budget("total", x.limit, controlv1.Period_PERIOD_TOTAL, byHardKey, onKey)
	budget("hourly", plenty, controlv1.Period_PERIOD_HOUR, byHardKey, onKey)
	budget("team", plenty, controlv1.Period_PERIOD_MONTH, byHardKey, func(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Team{Team: "crew"} })
	budget("tag", plenty, controlv1.Period_PERIOD_DAY, byHardKey, func(b *controlv1.Budget) { b.Scope = &controlv1.Budget_Tag{Tag: "ci"} })
	budget("endpoint", plenty, controlv1.Period_PERIOD_TOTAL, func(k *kind) bool { return k.name == "hard" }, func(b *controlv1.Budget) {
		b.Scope = &controlv1.Budget_Endpoint{Endpoint: "hard"}
	})
	x.softID = budget("all", money.Dollar/2, controlv1.Period_PERIOD_TOTAL, all, func(b *controlv1.Budget) {
		b.Scope, b.Enforcement = &controlv1.Budget_Everything{Everything: true}, controlv1.Enforcement_ENFORCEMENT_SOFT
	})
	for _, l := range []*controlv1.Limit{
		{Name: "limited", Scope: &controlv1.Limit_Key{Key: "limited"}, Kind: controlv1.LimitKind_LIMIT_KIND_REQUESTS, Amount: limitedAmount, Burst: limitedBurst},
		{Name: "narrow", Scope: &controlv1.Limit_Key{Key: "narrow"}, Kind: controlv1.LimitKind_LIMIT_KIND_CONCURRENT, Amount: narrowAmount},
	} {
		l.Fallback = controlv1.LimitFallback_LIMIT_FALLBACK_CLOSED // what another lets pass depends on how many edges there are
		c.must(c.rpc.limits.CreateLimit(t.Context(), &controlv1.CreateLimitRequest{Limit: l}))
	}
	c.awaitLive()
	x.ledgers = []*process{c.ledger, c.secondLedger()}
	x.parts = []*part{
		{"control plane", true, c.control.kill, c.control.start},
		{"nats", true, x.killNATS, c.nats.start},
		{"postgres", true, c.killPostgres, c.startPostgres},
		{"ledger", true, x.ledgers[0].kill, x.ledgers[0].start},
		{"second ledger", true, x.ledgers[1].kill, x.ledgers[1].start},
	}
	for i, e := range c.edges {
		x.parts = append(x.parts, &part{e.Name, true, func() { x.killEdge(i) }, e.start})
	}
	go x.poll()
	t.Cleanup(func() { <-x.pollEnded })
	return x
}

// named is a part by its name.
func (x *chaos) named(name string) *part {
	for _, p := range x.parts {
		if p.name == name {
			return p
		}
	}
	x.t.Fatalf("no part %s", name)
	return nil
}

// await returns after so many more calls.
func (x *chaos) await(n int) {
	x.t.Helper()
	x.mu.Lock()
	want := x.attempts + n
	x.mu.Unlock()
	x.until(func() error {
		if x.attempts < want {
			return fmt.Errorf("%d of %d calls have ended", x.attempts, want)
		}
		return nil
	})
}

// until waits for what cond says under the lock.
func (x *chaos) until(cond func() error) {
	x.t.Helper()
	testenv.Eventually(x.t, eventually, func() error {
		x.mu.Lock()
		defer x.mu.Unlock()
		return cond()
	})
}

func (x *chaos) killEdge(i int) {
	x.killInFlight(i, x.until)
	x.kills++
}

// killNATS kills nats-server, and one time in four takes its disk away: what it had acknowledged is
// lost then, and has to come from the edges and the database again.
func (x *chaos) killNATS() {
	x.c.nats.kill()
	if x.dice.IntN(4) > 0 {
		return
	}
	x.t.Logf("nats has lost its disk")
	if err := os.RemoveAll(x.c.natsDir()); err != nil {
		x.t.Fatal(err)
	}
}

// deleteStreams takes the files of the streams of spend away from a server that runs. It may go on
// for a while with what it has open, and finds nothing when it is started again.
func (x *chaos) deleteStreams() {
	x.t.Helper()
	x.up("nats")
	dirs, err := filepath.Glob(filepath.Join(x.c.natsDir(), "jetstream", "*", "streams", "SPEND_*"))
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Logf("delete %d streams", len(dirs))
	for _, dir := range dirs {
		// The server may be writing to it.
		testenv.Eventually(x.t, eventually, func() error { return os.RemoveAll(dir) })
	}
	x.await(50)
	x.flip(x.named("nats"))
	x.flip(x.named("nats"))
}

// flipBoth kills both ledgers at once, and starts them again at once.
func (x *chaos) flipBoth() {
	x.t.Helper()
	x.up("ledger", "second ledger")
	for range 2 {
		for _, name := range []string{"ledger", "second ledger"} {
			x.flip(x.named(name))
		}
		x.await(x.dice.IntN(60))
	}
}

// freezeLeader stops the ledger that leads the first partition until another one does, and lets it go
// on then, believing to lead.
func (x *chaos) freezeLeader() {
	x.t.Helper()
	x.up("postgres", "ledger", "second ledger")
	leading := func() (owner string, err error) {
		ctx, cancel := context.WithTimeout(x.t.Context(), time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, x.c.databaseURL)
		if err != nil {
			return "", err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		err = conn.QueryRow(ctx, `SELECT owner FROM ledger.ledger_part WHERE part = 0`).Scan(&owner)
		return owner, err
	}
	var leader *process
	var was string
	testenv.Eventually(x.t, eventually, func() (err error) {
		if was, err = leading(); err != nil {
			return err
		}
		for _, l := range x.ledgers {
			if strings.HasSuffix(was, "/"+strconv.Itoa(l.life.PID())) {
				leader = l
				return nil
			}
		}
		return fmt.Errorf("%s leads", was)
	})
	x.t.Logf("stop %s", leader.Name)
	leader.signal(syscall.SIGSTOP)
	testenv.Eventually(x.t, eventually, func() error {
		is, err := leading()
		if err == nil && is == was {
			err = fmt.Errorf("%s leads", is)
		}
		return err
	})
	x.await(50)
	x.t.Logf("continue %s", leader.Name)
	leader.signal(syscall.SIGCONT)
}

// round kills and starts up to three parts one right after the other.
func (x *chaos) round() {
	x.t.Helper()
	for _, k := range x.dice.Perm(len(x.parts))[:1+x.dice.IntN(3)] {
		x.flip(x.parts[k])
		if x.dice.IntN(2) == 0 {
			x.await(x.dice.IntN(60))
		}
	}
	if x.dice.IntN(2) == 0 {
		ctx, cancel := context.WithTimeout(x.t.Context(), time.Second)
		x.t.Logf("budget raised to %s: %v", x.limit+money.Dollar, x.raise(ctx, money.Dollar))
		cancel()
	}
}

// raise adds to the budget that is spent to its end. Whether it is in force is not known where this
// fails.
func (x *chaos) raise(ctx context.Context, by money.Nanos) error {
	x.limit += by
	_, err := x.c.rpc.budgets.UpdateBudget(ctx, &controlv1.UpdateBudgetRequest{Budget: "total", Amount: contract.MoneyToProto(x.limit)})
	return err
}

func (x *chaos) flip(p *part) {
	x.t.Helper()
	if p.up {
		x.t.Logf("kill %s", p.name)
		p.kill()
	} else {
		x.t.Logf("start %s", p.name)
		p.start()
	}
	p.up = !p.up
}

// up starts what is down of these.
func (x *chaos) up(names ...string) {
	x.t.Helper()
	for _, name := range names {
		if p := x.named(name); !p.up {
			x.flip(p)
		}
	}
}

func (x *chaos) checkLimit() {
	x.t.Helper()
	if sum := x.owed(byHardKey); sum > x.limit {
		x.t.Errorf("$%s are owed under a budget of $%s", sum, x.limit)
	}
}

// recoverAll brings up what is down and waits until everything works.
func (x *chaos) recoverAll() {
	x.t.Helper()
	for _, k := range x.dice.Perm(len(x.parts)) {
		if p := x.parts[k]; !p.up {
			x.flip(p)
		}
	}
	x.c.awaitReady()
	for i, e := range x.c.edges {
		e.awaitHTTP("http://" + x.c.edgeAddrs[i] + "/-/readyz")
	}
	if err := x.raise(x.t.Context(), 3*money.Dollar); err != nil {
		x.t.Fatal(err)
	}
	x.c.awaitLive()
	x.mu.Lock()
	before := maps.Clone(x.passed)
	x.mu.Unlock()
	x.until(func() error {
		for _, k := range x.kinds {
			if n := x.passed[k.name] - before[k.name]; n < 10 {
				return fmt.Errorf("%d calls of %s have passed since all is up, %d were refused in all", n, k.name, x.refused[k.name])
			}
		}
		return nil
	})
}

// checkBooks compares the ledger with the vendor, and waits for the spools to be drained.
func (x *chaos) checkBooks() {
	x.t.Helper()
	x.checkLimit()
	x.compare()
	testenv.Eventually(x.t, eventually, func() error {
		resp, err := x.c.rpc.system.ListNodes(x.t.Context(), &controlv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		for _, n := range resp.GetNodes() {
			if n.GetStatus() != controlv1.NodeStatus_NODE_STATUS_LIVE || n.GetSpoolEvents() != 0 {
				return fmt.Errorf("%v", n)
			}
		}
		return nil
	})
}

// spendRest spends what is left from one edge.
func (x *chaos) spendRest() {
	x.t.Helper()
	edge, hard := x.dice.IntN(len(x.c.edges)), x.kind("hard")
	testenv.Eventually(x.t, eventually, func() error {
		for {
			status, code := x.call(edge, hard)
			switch left := x.limit - x.owed(byHardKey); {
			case status == http.StatusOK:
			case code == "budget_exhausted" && left < hard.base:
				return nil
			default:
				return fmt.Errorf("edge %d: %d %s with $%s left", edge+1, status, code, left)
			}
		}
	})
}

// checkLimits compares the vendor's counts with the limits.
func (x *chaos) checkLimits() {
	x.t.Helper()
	x.checkRate("limited", limitedAmount, limitedBurst)
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := x.most["narrow"]; n > narrowAmount {
		x.t.Errorf("%d requests ran at a time under a limit of %d", n, narrowAmount)
	}
	x.t.Logf("passed %v, refused %v, at a time %v", x.passed, x.refused, x.most)
}
