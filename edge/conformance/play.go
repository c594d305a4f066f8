package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// Patience is how long a case waits for what should come at once. It is long because the machine may be
// busy: that something came before something else is shown by the order of the steps and not by time.
const Patience = 30 * time.Second

// Gateway is what is held to the cases.
type Gateway interface {
	// Configure puts endpoints in use, in YAML as event.v1.RouteEndpoint, and returns a new key.
	Configure(endpoints []string) (key string, err error)
	// Dial connects on one of Transports; TLS is done and its protocol agreed on.
	Dial(ctx context.Context, transport string) (net.Conn, error)
	// Settled waits until the ledger has so many settlements of a key, or ctx ends, and returns them as
	// "STATUS OUTCOME COST".
	Settled(ctx context.Context, key string, n int) []string
}

// play is a case as it is being played.
type play struct {
	c         *Case
	g         Gateway
	transport string
	rng       *rand.Rand
	key       string

	vendors map[string]*vendor
	at      map[string]*arrival // the request that a vendor is at
	open    map[string]bool     // whether its answer has a body to come
	replace *strings.Replacer

	wire    *wire
	session *session
	wires   []*wire
	sent    []*sending // requests whose answers have not been read
	quiet   []func() error
	ledger  []string
	watched bool // whether the case says what the ledger gets
}

// sending is one request of the caller.
type sending struct {
	flow
	raw      bool // it may be several
	answered bool // its final head was read
	over     bool // its end was read, or does not matter
}

// verbs are all steps. It is filled in by init, because a verb of one actor may use those of another.
var verbs map[string]func(context.Context, *play, Step) error

// Play plays a case and returns what was not as it says. The seed decides where what is sent is cut.
func (c *Case) Play(ctx context.Context, g Gateway, transport string, seed uint64) error {
	p := &play{
		c: c, g: g, transport: transport, rng: rand.New(rand.NewPCG(seed, seed)),
		vendors: map[string]*vendor{}, at: map[string]*arrival{}, open: map[string]bool{},
	}
	defer p.close()
	if err := p.prepare(ctx); err != nil {
		return err
	}
	for _, s := range c.Steps {
		if err := p.step(ctx, s); err != nil {
			return fmt.Errorf("%s: %q, line %d: %s %s %s: %w", c.File, c.Name, s.Line, s.Who, s.Do, short(s.Arg), err)
		}
	}
	if err := p.finish(ctx); err != nil {
		return fmt.Errorf("%s: %q, at the end: %w", c.File, c.Name, err)
	}
	return nil
}

func (p *play) step(ctx context.Context, s Step) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	s.Arg = p.replace.Replace(s.Arg)
	lines := make([]string, len(s.Lines))
	for i, l := range s.Lines {
		lines[i] = p.replace.Replace(l)
	}
	s.Lines = lines
	return verbs[strings.TrimSuffix(s.Who+" "+s.Do, " ")](ctx, p, s)
}

// prepare starts the vendors and configures the gateway.
func (p *play) prepare(ctx context.Context) (err error) {
	fill := []string{}
	for name, as := range map[string]string{"vendor": "{V}", "other": "{V2}", "modern": "{VH2}"} {
		v, err := newVendor(ctx, name == "modern", p.rng)
		if err != nil {
			return err
		}
		p.vendors[name] = v
		fill = append(fill, as, v.addr())
	}
	dead, err := newVendor(ctx, false, p.rng)
	if err != nil {
		return err
	}
	dead.stop()
	fill = append(fill, "{DEAD}", dead.addr())
	p.replace = strings.NewReplacer(fill...)
	endpoints := make([]string, len(p.c.Endpoints))
	for i, e := range p.c.Endpoints {
		endpoints[i] = p.replace.Replace(e)
	}
	if p.key, err = p.g.Configure(endpoints); err != nil {
		return err
	}
	p.replace = strings.NewReplacer(append(fill, "{K}", p.key, "{S}", VendorSecret)...)
	return nil
}

// VendorSecret is the credential that the cases' endpoints send to vendors. No caller may ever see it.
const VendorSecret = "vendor-secret-1"

// finish checks what must hold at the end of every case.
func (p *play) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	var errs []error
	for _, s := range p.sent {
		if s.answered && !s.over {
			if _, err := readAll(ctx, s); err != nil {
				errs = append(errs, fmt.Errorf("the answer did not end properly: %w", err))
			}
		}
	}
	if p.watched {
		// One more than the case names would come after those.
		if got := p.g.Settled(ctx, p.key, len(p.ledger)); strings.Join(got, "; ") != strings.Join(p.ledger, "; ") {
			errs = append(errs, fmt.Errorf("the ledger got %q, want %q", got, p.ledger))
		}
	}
	p.hangUp()
	for _, check := range p.quiet {
		errs = append(errs, check())
	}
	for name, v := range p.vendors {
		for _, text := range v.seen() {
			if strings.Contains(text, p.key) {
				errs = append(errs, fmt.Errorf("the key reached %s: %s", name, short(text)))
			}
		}
	}
	for _, w := range p.wires {
		if strings.Contains(w.seen(), VendorSecret) {
			errs = append(errs, fmt.Errorf("the vendor's credential reached the caller: %s", short(w.seen())))
		}
	}
	return errors.Join(errs...)
}

// hangUp ends the caller's connections.
func (p *play) hangUp() {
	for _, w := range p.wires {
		w.release()
	}
}

func (p *play) close() {
	p.hangUp()
	for _, v := range p.vendors {
		v.stop()
	}
}

func init() {
	verbs = map[string]func(context.Context, *play, Step) error{
		"caller sends":    callerSends,
		"caller writes":   callerWrites,
		"caller ends":     callerEnds,
		"caller gets":     callerGets,
		"caller reads":    callerReads,
		"caller sees":     callerSees,
		"caller leaves":   callerLeaves,
		"caller resets":   callerResets,
		"caller shuts":    callerShuts,
		"caller connects": callerConnects,
		"ledger":          ledgerGets,
		"ledger ":         ledgerGets,
	}
	for _, who := range []string{"vendor", "other", "modern"} {
		for do, f := range map[string]func(context.Context, *play, Step) error{
			"gets": vendorGets, "reads": vendorReads, "sees": vendorSees, "answers": vendorAnswers, "writes": vendorWrites,
			"ends": vendorEnds, "closes": vendorCloses, "resets": vendorResets, "shuts": vendorShuts, "retires": vendorRetires,
		} {
			verbs[who+" "+do] = f
		}
	}
}

// ledgerGets names one settlement of the case's key, in order. "nothing" is for none.
func ledgerGets(_ context.Context, p *play, s Step) error {
	p.watched = true
	if s.Arg != "nothing" {
		p.ledger = append(p.ledger, s.Arg)
	}
	return nil
}
