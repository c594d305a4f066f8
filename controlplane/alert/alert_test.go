package alert_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/controlplane/alert"
	"tollgate/controlplane/attention"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/secrets"
	"tollgate/controlplane/store"
	"tollgate/internal/seal"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

const (
	within  = 30 * time.Second
	signing = "tgs_test"
	// inURL is looked for wherever it must not be.
	inURL = "url-credential-51d0"
)

// board is what needs somebody, as a test wants it.
type board struct {
	mu     sync.Mutex // guards what follows
	view   attention.View
	checks int
}

func (b *board) Check(context.Context) (*attention.View, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.checks++
	v := b.view
	v.Items = slices.Clone(v.Items)
	return &v, nil
}

func (b *board) show(unknown map[attention.Kind]bool, items ...attention.Item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.view = attention.View{Items: items, Unknown: unknown, AsOf: time.Now()}
}

// looks waits until the board was looked at a few times more.
func (b *board) looks(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	until := b.checks + 4
	b.mu.Unlock()
	testenv.Eventually(t, within, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.checks < until {
			return fmt.Errorf("%d looks of %d", b.checks, until)
		}
		return nil
	})
}

func usedUp(name string) attention.Item {
	return attention.Item{
		Kind: attention.BudgetExhausted, Severity: attention.Critical, ObjectKind: "budget", ObjectID: "bud_" + name, ObjectName: name,
		Sentence: "Budget " + name + " is used up.", Figure: "$5.00 of $5.00", Since: time.Now().Add(-time.Minute),
	}
}

// call is one that a receiver got.
type call struct {
	header http.Header
	body   []byte
	alert  registry.Alert
}

// receiver takes alerts, or does not.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex // guards what follows
	calls  []call
	status int // 0: it takes them
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		c := call{header: req.Header.Clone(), body: body}
		if err := json.Unmarshal(body, &c.alert); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls = append(r.calls, c)
		if r.status != 0 {
			w.WriteHeader(r.status)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// told are event and name of each alert, in the order in which they came.
func told(calls []call) (all []string) {
	for _, c := range calls {
		all = append(all, c.alert.Event+" "+c.alert.Object.Name)
	}
	return all
}

func (r *receiver) await(t *testing.T, want ...string) []call {
	t.Helper()
	testenv.Eventually(t, within, func() error {
		if got := told(r.got()); !slices.Equal(got, want) {
			return fmt.Errorf("told %q, not %q", got, want)
		}
		return nil
	})
	return r.got()
}

// awaitSorted is await where the order does not matter; want is sorted.
func (r *receiver) awaitSorted(t *testing.T, want ...string) []call {
	t.Helper()
	testenv.Eventually(t, within, func() error {
		if got := slices.Sorted(slices.Values(told(r.got()))); !slices.Equal(got, want) {
			return fmt.Errorf("told %q, not %q", got, want)
		}
		return nil
	})
	return r.got()
}

type bench struct {
	t     *testing.T
	store *store.Store
	vault *secrets.Vault
	board *board
	cfg   alert.Config
}

func newBench(t *testing.T) *bench {
	t.Helper()
	vault, err := secrets.New(seal.Generate(), seal.Generate())
	if err != nil {
		t.Fatal(err)
	}
	cfg := alert.DefaultConfig()
	cfg.Every, cfg.Poll, cfg.Calm = 10*time.Millisecond, 10*time.Millisecond, 0
	cfg.FirstRetry, cfg.MostRetry = 5*time.Millisecond, 50*time.Millisecond
	cfg.ConsoleURL = "https://gw.example.com/"
	return &bench{t: t, store: store.New(testenv.Postgres(t, migrate)), vault: vault, board: &board{}, cfg: cfg}
}

func (b *bench) channel(name, url string, kind registry.AlertChannelKind) registry.AlertChannel {
	b.t.Helper()
	c, err := b.store.CreateAlertChannel(b.t.Context(), "ann", registry.AlertChannel{
		Name: name, Kind: kind, Host: "receiver", Events: []string{"budget_exhausted", "budget_warned"},
	}, func(id string) ([]byte, error) {
		raw, err := json.Marshal(alert.Destination{URL: url, Signing: signing})
		if err != nil {
			return nil, err
		}
		return b.vault.Encrypt(id, string(raw))
	}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// start runs a teller; stop waits for its end.
func (b *bench) start() (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	teller := alert.New(b.cfg, b.store, b.board, b.vault, testenv.Logger(b.t))
	var running sync.WaitGroup
	running.Go(func() {
		if err := teller.Run(ctx); err != nil {
			b.t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	b.t.Cleanup(stop)
	return stop
}

// Guarantee: something that begins and ends is told once when it begins and once when it ends, however often it is looked at and also
// when the control plane is started anew in between; while nothing is known of it, it has not ended.
func TestToldOnce(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t)
	b.channel("ops", r.URL+"/"+inURL, registry.AlertWebhook)
	stop := b.start()
	b.board.show(nil, usedUp("marketing"))
	first := r.await(t, "begin marketing")[0]
	b.board.looks(t)
	stop()
	b.start()
	b.board.looks(t)
	b.board.show(map[attention.Kind]bool{attention.BudgetExhausted: true})
	b.board.looks(t)
	r.await(t, "begin marketing")
	b.board.show(nil, usedUp("search"))
	// What begins and what ends at the same look are told one after the other, in no order.
	calls := r.awaitSorted(t, "begin marketing", "begin search", "end marketing")
	last := calls[slices.IndexFunc(calls, func(c call) bool { return c.alert.Event == "end" })]
	b.board.looks(t)
	if n := len(r.got()); n != 3 {
		t.Errorf("%d alerts: %q", n, told(r.got()))
	}
	a := first.alert
	if a.ID == "" || a.ID != first.header.Get("x-tollgate-alert-id") || a.ID == last.alert.ID || a.Condition != last.alert.Condition {
		t.Errorf("begin %v %v, end %v", first.header, a, last.alert)
	}
	if a.Kind != "budget_exhausted" || a.Severity != "critical" || a.Link != "https://gw.example.com/budgets/marketing" || a.Ended != nil || last.alert.Ended == nil {
		t.Errorf("begin %+v, end %+v", a, last.alert)
	}
}

// Guarantee: what comes back soon is the same that it was, and is not told again; a share of a budget that was reached is told and has
// no end.
func TestCalm(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t)
	b.cfg.Calm = time.Hour
	b.channel("ops", r.URL, registry.AlertWebhook)
	b.start()
	b.board.show(nil, usedUp("marketing"))
	r.await(t, "begin marketing")
	for range 3 {
		b.board.show(nil)
		b.board.looks(t)
		b.board.show(nil, usedUp("marketing"))
		b.board.looks(t)
	}
	r.await(t, "begin marketing")
}

// Guarantee: that a share of a budget was reached is told once, and has no end.
func TestWarnedHasNoEnd(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t)
	b.channel("ops", r.URL, registry.AlertWebhook)
	b.start()
	warned := usedUp("search")
	warned.Kind, warned.Part = attention.BudgetWarned, "80"
	b.board.show(nil, warned)
	r.await(t, "begin search")
	b.board.show(nil, usedUp("ops"))
	r.await(t, "begin search", "begin ops")
	b.board.looks(t)
	r.await(t, "begin search", "begin ops")
}

// Guarantee: an alert that does not arrive is sent again until it does, each time under the same identifier, and the end never comes
// before the beginning; meanwhile it is known that the channel fails.
func TestReceiverIsDown(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t)
	c := b.channel("ops", r.URL+"/"+inURL, registry.AlertWebhook)
	b.start()
	r.answer(http.StatusServiceUnavailable)
	b.board.show(nil, usedUp("marketing"))
	testenv.Eventually(t, within, func() error {
		failing, err := b.store.FailingAlertChannels(t.Context())
		if err == nil && (len(failing) != 1 || failing[0].ID != c.ID || !strings.Contains(failing[0].Error, "503")) {
			err = fmt.Errorf("failing: %v", failing)
		}
		return err
	})
	b.board.show(nil)
	b.board.looks(t)
	r.answer(0)
	testenv.Eventually(t, within, func() error {
		calls := r.got()
		if last := calls[len(calls)-1]; last.alert.Event != "end" {
			return fmt.Errorf("told %q", told(calls))
		}
		return nil
	})
	calls := r.got()
	for i, c := range calls[:len(calls)-1] {
		if c.alert.Event != "begin" || c.alert.ID != calls[0].alert.ID {
			t.Errorf("call %d: %+v", i, c.alert)
		}
	}
	testenv.Eventually(t, within, func() error {
		all, err := b.store.Deliveries(t.Context(), c.ID, 10)
		if err != nil {
			return err
		}
		for _, d := range all {
			if !d.Delivered || strings.Contains(d.Error, inURL) {
				return fmt.Errorf("%+v", d)
			}
		}
		return nil
	})
	if failing, err := b.store.FailingAlertChannels(t.Context()); err != nil || len(failing) != 0 {
		t.Errorf("still failing: %v %v", failing, err)
	}
}

// Guarantee: of two control planes one looks for conditions and both send, and each alert is sent once; when the one that looks stops,
// the other goes on.
func TestTwoControlPlanes(t *testing.T) {
	t.Parallel()
	const conditions = 20
	b, r := newBench(t), newReceiver(t)
	b.channel("ops", r.URL, registry.AlertWebhook)
	stops := []func(){b.start(), b.start()}
	var items []attention.Item
	for i := range conditions {
		items = append(items, usedUp(fmt.Sprint("b", i)))
	}
	await := func(n int) {
		t.Helper()
		testenv.Eventually(t, within, func() error {
			if got := len(r.got()); got < n {
				return fmt.Errorf("%d alerts of %d", got, n)
			}
			return nil
		})
	}
	b.board.show(nil, items...)
	await(conditions)
	stops[0]()
	b.board.looks(t)
	b.board.show(nil)
	await(2 * conditions)
	stops[1]()
	seen := map[string]int{}
	for _, what := range told(r.got()) {
		seen[what]++
	}
	for what, n := range seen {
		if n != 1 {
			t.Errorf("%s was told %d times", what, n)
		}
	}
	if len(seen) != 2*conditions {
		t.Errorf("%d alerts", len(seen))
	}
}

// Guarantee: a receiver that does not answer keeps no other waiting.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t)
	b.cfg.AtOnce = 2
	held := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-held }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(held) })
	b.channel("slow", slow.URL, registry.AlertWebhook)
	b.channel("ops", r.URL, registry.AlertWebhook)
	b.start()
	b.board.show(nil, usedUp("marketing"))
	r.await(t, "begin marketing")
	b.board.show(nil)
	r.await(t, "begin marketing", "end marketing")
}

func (b *bench) send(kind registry.AlertChannelKind, url string, a *registry.Alert) alert.Result {
	b.t.Helper()
	raw, err := json.Marshal(alert.Destination{URL: url, Signing: signing})
	if err != nil {
		b.t.Fatal(err)
	}
	envelope, err := b.vault.Encrypt("chn_1", string(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	return alert.NewSender(b.vault, 5*time.Second).Send(b.t.Context(), "chn_1", kind, envelope, a)
}

// Guarantee: whoever has a channel's secret can tell that an alert is ours and unchanged.
func TestSignature(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t)
	if res := b.send(registry.AlertWebhook, r.URL, &registry.Alert{ID: "alt_1", Event: "begin"}); !res.Delivered || res.Status != http.StatusOK {
		t.Fatalf("%+v", res)
	}
	got := r.got()[0]
	at, signature, _ := strings.Cut(strings.TrimPrefix(got.header.Get("x-tollgate-signature"), "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte(signing))
	fmt.Fprintf(mac, "%s.%s", at, got.body)
	if want := hex.EncodeToString(mac.Sum(nil)); want != signature {
		t.Errorf("signature %q, not %q", signature, want)
	}
}

// Guarantee: what Slack gets is text in its form, in which nothing of ours means anything but itself.
func TestSlackForm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var body string
	slack := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body = string(raw)
	}))
	t.Cleanup(slack.Close)
	since := time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC)
	res := b.send(registry.AlertSlack, slack.URL, &registry.Alert{
		ID: "alt_1", Event: "begin", Severity: "critical", Sentence: "Budget <!here> & co is used up.", Figure: "$5.00 of $5.00", Since: since,
		Deployment: "Staging", Link: "https://gw.example.com/budgets/x",
	})
	if !res.Delivered {
		t.Fatalf("%+v", res)
	}
	var got struct {
		Text   string `json:"text"`
		Blocks []struct {
			Type string `json:"type"`
			Text struct {
				Type, Text string
			} `json:"text"`
			Elements []struct{ Type, Text string } `json:"elements"`
		} `json:"blocks"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err, body)
	}
	if got.Text != "Critical: Budget &lt;!here&gt; &amp; co is used up." || len(got.Blocks) != 2 || got.Blocks[0].Text.Text != "*Critical* Budget &lt;!here&gt; &amp; co is used up." ||
		got.Blocks[1].Elements[0].Text != "Staging · since 23 Nov 07:30 UTC · $5.00 of $5.00 · <https://gw.example.com/budgets/x|Open>" {
		t.Errorf("%s", body)
	}
}

// Guarantee: nothing is sent to an address that answers with a machine's credentials, nor to where a receiver leads, and no failure
// tells the URL.
func TestForbiddenReceivers(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t)
	lead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, r.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(lead.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for url, want := range map[string]string{
		"http://169.254.169.254/" + inURL:    "never go there",
		"http://[::ffff:a9fe:a9fe]/" + inURL: "never go there",
		lead.URL + "/" + inURL:               "redirect",
		gone.URL + "/" + inURL:               "cannot be reached",
	} {
		res := b.send(registry.AlertWebhook, url, &registry.Alert{ID: "alt_1", Event: "begin"})
		if res.Delivered || !strings.Contains(res.Error, want) || strings.Contains(res.Error, inURL) {
			t.Errorf("%s: %+v", url, res)
		}
	}
	if n := len(r.got()); n != 0 {
		t.Errorf("%d alerts went where a receiver led", n)
	}
}
