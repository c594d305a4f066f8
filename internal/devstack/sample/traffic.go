package sample

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"tollgate/internal/lifecycle"
)

// Traffic is a client that goes on calling the gateways with the sample keys, so that there is something to watch.
type Traffic struct {
	PerSecond int
	Gateways  []string // addresses
	Kept      *Kept
	Log       *slog.Logger
}

const (
	mostAtOnce     = 64 // a target that hangs does not pile up requests here
	requestTimeout = 20 * time.Second
)

// call is a request of a kind, and how many of all are of it.
type call struct {
	weight            int
	key, method, path string
	customer          string // that the request names
	body              string
	old               bool // with the old secret of the key, if it has one
}

const (
	ranking = `{"query": "warm winter coat", "documents": ["A coat for winter", "A swimsuit", "A warm hat"]}`
	talking = `{"model": "demo-chat", "stream": true, "messages": [{"role": "user", "content": "Where is my order? It was to come on Monday."}]}`
	silent  = `{"model": "demo-chat", "messages": [{"role": "user", "content": "Summarise the reviews of this coat"}]}`
	draw    = `{"prompt": "a book on a table", "num_results": 1, "sync": true}`
)

// calls are what is called while the stack runs. What costs much is left out: pictures are asked for without saying of what, which the
// vendor refuses, or with the key whose team has no money left.
var calls = []call{
	{weight: 20, key: "web", path: "/rerank/v1/rerank", body: ranking, customer: "acme"},
	{weight: 8, key: "web", path: "/rerank/v1/rerank", body: ranking, customer: "globex"},
	{weight: 2, key: "web", path: "/rerank/v1/rerank", body: ranking, customer: "initech"},
	{weight: 8, key: "web", path: "/llm/v1/chat/completions", body: silent, customer: "acme"},
	{weight: 10, key: "mobile", path: "/rerank/v1/rerank", body: ranking},
	{weight: 3, key: "mobile", path: "/rerank/v1/rerank", body: ranking, old: true},
	{weight: 14, key: "assistant", path: "/llm/v1/chat/completions", body: talking},
	{weight: 8, key: "batch", path: "/ocr/v1/ocr", body: `{"file": "scan-0412.png"}`},
	{weight: 6, key: "batch", path: "/rerank/v1/rerank", body: ranking},
	{weight: 6, key: "ci-bot", path: "/flaky/status", method: http.MethodGet},
	{weight: 2, key: "contractor", path: "/slow/report", method: http.MethodGet},
	{weight: 1, key: "contractor", path: "/wants-token/orders", body: `{"order": 1}`},
	{weight: 1, key: "contractor", path: "/rerank/v1/rerank", body: `{"documents": ["A winter coat"]}`},
	{weight: 3, key: "campaigns", path: "/bria/v1/text-to-image/base/2.3", body: draw},
	{weight: 1, key: "old-portal", path: "/rerank/v1/rerank", body: ranking},
	{weight: 1, key: "ci-bot", path: "/rerankk/v1/rerank", body: ranking},
}

// first is what fresh sample data is called with first, and no other: a picture at its price of today.
var first = call{key: "contractor", path: "/bria/v1/text-to-image/base/2.3", body: draw}

// Run calls until ctx ends.
func (t *Traffic) Run(ctx context.Context) error {
	var g lifecycle.Group
	defer g.Stop()
	transport := &http.Transport{MaxIdleConnsPerHost: mostAtOnce}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: requestTimeout}
	tick := time.NewTicker(time.Second / time.Duration(t.PerSecond))
	defer tick.Stop()
	free := make(chan struct{}, mostAtOnce)
	var failed sync.Once
	next := pick()
	if t.Kept.Fresh() {
		next = first
	}
	for {
		select {
		case free <- struct{}{}:
			c, gateway := next, t.Gateways[rand.IntN(len(t.Gateways))]
			g.Go("sample request", func(ctx context.Context) {
				defer func() { <-free }()
				if err := t.call(ctx, client, gateway, c); err != nil && ctx.Err() == nil {
					failed.Do(func() {
						t.Log.WarnContext(ctx, "sample traffic: a gateway did not answer", "gateway", gateway, "err", err)
					})
				}
			})
		default:
		}
		next = pick()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func pick() call {
	sum := 0
	for i := range calls {
		sum += calls[i].weight
	}
	n := rand.IntN(sum)
	for i := range calls {
		if n -= calls[i].weight; n < 0 {
			return calls[i]
		}
	}
	return calls[0]
}

// call makes a request and reads its answer. A key whose secret is not kept calls nothing.
func (t *Traffic) call(ctx context.Context, client *http.Client, gateway string, c call) error {
	secret := t.Kept.Keys[c.key]
	if old := t.Kept.OldKeys[c.key]; c.old && old != "" {
		secret = old
	}
	if secret == "" {
		return nil
	}
	method := c.method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+gateway+c.path, strings.NewReader(c.body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("User-Agent", c.key+"/1.0")
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.customer != "" {
		req.Header.Set("X-Tollgate-Customer", c.customer)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}
