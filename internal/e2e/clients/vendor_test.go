package clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// vendor is a server that speaks the HTTP APIs of several vendors, on HTTP/1.1 and, without TLS, HTTP/2. It
// answers with recordings, and what it does besides depends on the model that is asked for, because a model is
// what every client can be told: "endless-TAG" begins to answer and never ends, "silent-TAG" never begins,
// "busy-TAG" refuses once, "torn-TAG" breaks off in the middle, and "refused" is an error that was recorded.
// Below /direct/ are the same APIs for comparison, of which nothing is noted.
type vendor struct {
	url    string
	server *http.Server

	mu     sync.Mutex
	routes map[string]*expected
	keys   []string // of the gateway: none of them may ever arrive
	ended  map[string]chan struct{}
	busy   map[string]bool
	files  map[string][]byte
}

// expected is what a route must send, and what it has sent.
type expected struct {
	dialect      string
	header, want string
	calls        []*call
	problems     []string
	down         bool // of the dialect "models"
}

// call is one request that has arrived by way of the gateway.
type call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status"` // 0 if it was never answered
	Proto  string `json:"proto"`
	Header http.Header
	Body   string `json:"body"` // JSON only
}

func newVendor() *vendor {
	v := &vendor{routes: map[string]*expected{}, ended: map[string]chan struct{}{}, busy: map[string]bool{}, files: map[string][]byte{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	v.url = "http://" + l.Addr().String()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	v.server = &http.Server{Handler: v, Protocols: &protocols, ReadHeaderTimeout: time.Minute}
	go func() { _ = v.server.Serve(l) }()
	return v
}

func (v *vendor) close() { _ = v.server.Close() }

// expect says how requests of a route must look, and which key they must never show.
func (v *vendor) expect(route, dialect, header, want, key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.routes[route] = &expected{dialect: dialect, header: header, want: want}
	v.keys = append(v.keys, key)
}

// check fails the test for every request of its route that was not as it must be.
func (v *vendor) check(t *testing.T, route string) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.routes[route].problems {
		t.Errorf("the vendor: %s", p)
	}
	if len(v.routes[route].calls) == 0 {
		t.Error("the vendor got no request")
	}
}

// calls are those that have arrived from a route.
func (v *vendor) calls(route string) []call {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []call
	for _, c := range v.routes[route].calls {
		out = append(out, *c)
	}
	return out
}

// tag is closed when the request with that tag in its model has ended before its answer has.
func (v *vendor) tag(name string) chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	ch, ok := v.ended[name]
	if !ok {
		ch = make(chan struct{})
		v.ended[name] = ch
	}
	return ch
}

// end notes that the request with a tag has ended. A client that tries again ends more than once.
func (v *vendor) end(name string) {
	ch := v.tag(name)
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case <-ch:
	default:
		close(ch)
	}
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/", 2)
	direct := parts[0] == "direct"
	if direct {
		parts = strings.SplitN(parts[1], "/", 2)
	}
	name, path := parts[0], ""
	if len(parts) == 2 {
		path = "/" + parts[1]
	}
	if name == "_control" {
		v.control(w, r, strings.Split(path, "/"))
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return // the caller has gone
	}
	v.mu.Lock()
	route := v.routes[name]
	v.mu.Unlock()
	if route == nil {
		http.Error(w, "there is no route "+name, http.StatusTeapot)
		return
	}
	got := &call{Method: r.Method, Path: path, Proto: r.Proto, Header: r.Header.Clone()}
	if json.Valid(body) {
		got.Body = string(body)
	}
	if !direct {
		v.inspect(route, got, r, body)
	}
	sum := sha256.Sum256(body)
	w.Header().Set("X-Body-Sha256", hex.EncodeToString(sum[:]))
	status := func(code int) {
		if !direct {
			v.mu.Lock()
			got.Status = code
			v.mu.Unlock()
		}
		w.WriteHeader(code)
	}
	if route.dialect == "models" {
		v.serveModels(w, status, r, route, path, body)
		return
	}
	v.answer(w, status, r, route.dialect, path, body)
}

// inspect notes a request and what is wrong with it.
func (v *vendor) inspect(route *expected, got *call, r *http.Request, body []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	route.calls = append(route.calls, got)
	problem := func(format string, args ...any) {
		route.problems = append(route.problems, got.Method+" "+got.Path+": "+fmt.Sprintf(format, args...))
	}
	if have := r.Header.Values(route.header); len(have) != 1 || have[0] != route.want {
		problem("%s is %q in place of %q", route.header, have, route.want)
	}
	head, err := httputil.DumpRequest(r, false)
	if err != nil {
		problem("%v", err)
	}
	text := string(head) + "\n" + unescaped(r.RequestURI)
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" \r\n,;", c) }) {
		if plain, err := base64.StdEncoding.DecodeString(word); err == nil {
			text += "\n" + string(plain)
		}
	}
	for _, key := range v.keys {
		if strings.Contains(text, key) || bytes.Contains(body, []byte(key)) {
			problem("a key of the gateway has arrived: %q", text)
		}
	}
	for header := range r.Header {
		if strings.HasPrefix(header, "X-Tollgate-") {
			problem("it has %s", header)
		}
	}
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// asked is what a request says about the answer that it wants.
type asked struct {
	Model  string `json:"model"`
	Stream bool   `json:"stream"`
	Usage  struct {
		Asked bool `json:"include_usage"`
	} `json:"stream_options"`
	Tools  []json.RawMessage `json:"tools"`
	file   []byte
	name   string
	fields map[string]string
}

func read(r *http.Request, path string, body []byte) (asked, error) {
	var a asked
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind == "multipart/form-data":
		a.fields = map[string]string{}
		parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		for {
			p, err := parts.NextPart()
			if err == io.EOF {
				a.Model = a.fields["model"]
				return a, nil
			} else if err != nil {
				return a, err
			}
			data, err := io.ReadAll(p)
			if err != nil {
				return a, err
			}
			if p.FileName() != "" {
				a.file, a.name = data, p.FileName()
			} else {
				a.fields[p.FormName()] = string(data)
			}
		}
	case len(body) > 0:
		if err := json.Unmarshal(body, &a); err != nil {
			return a, err
		}
	}
	if _, model, ok := strings.Cut(path, "/models/"); ok {
		a.Model, _, _ = strings.Cut(model, ":")
	}
	return a, nil
}

func (v *vendor) answer(w http.ResponseWriter, status func(int), r *http.Request, dialect, path string, body []byte) {
	fail := func(err error) {
		w.Header().Set("Content-Type", "text/plain")
		status(http.StatusTeapot) // no client repeats it
		_, _ = io.WriteString(w, err.Error())
	}
	a, err := read(r, path, body)
	if err != nil {
		fail(err)
		return
	}
	switch {
	case strings.HasPrefix(path, "/v1/files"):
		v.serveFile(w, status, r, dialect, path, a)
		return
	case path == "/api/public/ingestion":
		ingest(w, status, body)
		return
	}
	what, tag, _ := strings.Cut(a.Model, "-")
	busy := what == "busy" && v.first(tag)
	if busy || what == "refused" {
		path, a.Stream, a.Tools = "/refused", false, nil
	}
	out, err := script(dialect, path, a.Stream, len(a.Tools) > 0)
	if err != nil {
		fail(err)
		return
	}
	if dialect == "openai-exact" && a.Stream {
		w.Header().Del("X-Body-Sha256") // such a body is changed on the way
		if !a.Usage.Asked && path == "/v1/chat/completions" {
			out.body = withoutUsage(out.body)
		}
	}
	for name, values := range out.header {
		w.Header()[name] = values
	}
	switch {
	case busy:
		w.Header().Del("X-Should-Retry")
		w.Header().Set("Retry-After-Ms", "20")
		w.Header().Set("Retry-After", "0")
		status(http.StatusTooManyRequests)
		_, _ = w.Write(out.body)
	case what == "silent":
		<-r.Context().Done()
		v.end(tag)
	case what == "endless":
		status(out.status)
		pieces(w, firstEvent(out.body))
		endless(r.Context(), w)
		v.end(tag)
	case what == "torn":
		status(out.status)
		pieces(w, out.body[:len(out.body)/2])
		panic(http.ErrAbortHandler)
	default:
		if out.gzip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			out.body = out.gzip
		}
		status(out.status)
		if out.stream {
			pieces(w, out.body)
		} else {
			_, _ = w.Write(out.body)
		}
	}
}

// first says whether a tag is new.
func (v *vendor) first(tag string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.busy[tag]
	v.busy[tag] = true
	return !before
}

// pieces writes in pieces that end in the middle of events and of characters, as networks deliver them.
func pieces(w http.ResponseWriter, body []byte) {
	for len(body) > 0 {
		n := min(97, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		body = body[n:]
	}
}

// firstEvent is a stream up to its first blank line.
func firstEvent(body []byte) []byte {
	for _, blank := range []string{"\r\n\r\n", "\n\n"} {
		if i := bytes.Index(body, []byte(blank)); i >= 0 {
			return body[:i+len(blank)]
		}
	}
	return body
}

// endless writes what event streams are kept alive with until nobody listens any more.
func endless(ctx context.Context, w http.ResponseWriter) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = io.WriteString(w, ": still here\n")
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// serveFile keeps what is uploaded and gives it back.
func (v *vendor) serveFile(w http.ResponseWriter, status func(int), r *http.Request, dialect, path string, a asked) {
	if id, ok := strings.CutPrefix(path, "/v1/files/"); ok {
		v.mu.Lock()
		data := v.files[strings.TrimSuffix(id, "/content")]
		v.mu.Unlock()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		status(http.StatusOK)
		_, _ = w.Write(data)
		return
	}
	sum := sha256.Sum256(a.file)
	id := hex.EncodeToString(sum[:])
	v.mu.Lock()
	v.files[id] = a.file
	v.mu.Unlock()
	out := map[string]any{
		"id": id, "object": "file", "bytes": len(a.file), "created_at": 1782321917, "filename": a.name,
		"purpose": a.fields["purpose"], "status": "processed",
	}
	switch dialect {
	case "anthropic":
		out = map[string]any{
			"id": id, "type": "file", "filename": a.name, "mime_type": "application/octet-stream",
			"size_bytes": len(a.file), "created_at": "2026-01-01T00:00:00Z",
		}
	case "mistral":
		out["sample_type"], out["source"], out["size_bytes"] = "batch_request", "upload", len(a.file)
	}
	w.Header().Set("Content-Type", "application/json")
	status(http.StatusOK)
	_ = json.NewEncoder(w).Encode(out)
}

// ingest takes a batch of events, as Langfuse does.
func ingest(w http.ResponseWriter, status func(int), body []byte) {
	var in struct {
		Batch []struct {
			ID string `json:"id"`
		} `json:"batch"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		status(http.StatusBadRequest)
		return
	}
	type done struct {
		ID     string `json:"id"`
		Status int    `json:"status"`
	}
	out := map[string][]done{"successes": {}, "errors": {}}
	for _, e := range in.Batch {
		out["successes"] = append(out["successes"], done{e.ID, http.StatusCreated})
	}
	w.Header().Set("Content-Type", "application/json")
	status(http.StatusMultiStatus)
	_ = json.NewEncoder(w).Encode(out)
}

// control tells tests in another process what happened: /_control/ended/TAG answers once the request with
// that tag has ended, /_control/calls/ROUTE with the calls of a route, and /_control/down/ROUTE and /_control/up/ROUTE
// have a vendor of models refuse everything, or nothing.
func (v *vendor) control(w http.ResponseWriter, r *http.Request, path []string) {
	switch path[1] {
	case "ended":
		select {
		case <-v.tag(path[2]):
		case <-time.After(5 * time.Second):
			http.Error(w, "not within 5 s", http.StatusGatewayTimeout)
		case <-r.Context().Done():
		}
	case "calls":
		_ = json.NewEncoder(w).Encode(v.calls(path[2]))
	case "down", "up":
		v.setDown(path[2], path[1] == "down")
	default:
		http.NotFound(w, r)
	}
}
