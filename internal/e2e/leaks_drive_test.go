package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// drive calls methods of the API and keeps what they answer, but for what a method may show to whoever made it.
type drive struct {
	*cluster

	methods map[string]protoreflect.MethodDescriptor // "KeyService/GetKey"

	mu      sync.Mutex // guards what follows
	secrets map[string]string
	answers map[string]*heard // by method
	driven  map[string]bool
	refused map[string]bool // methods that were also called with what they refuse
	known   map[string]gjson.Result
	calls   int
}

func newDrive(c *cluster) *drive {
	d := &drive{
		cluster: c, methods: map[string]protoreflect.MethodDescriptor{}, secrets: map[string]string{}, answers: map[string]*heard{},
		driven: map[string]bool{}, refused: map[string]bool{}, known: map[string]gjson.Result{},
	}
	protoregistry.GlobalFiles.RangeFilesByPackage("tollgate.control.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				d.methods[string(s.Name())+"/"+string(m.Name())] = m
			}
		}
		return true
	})
	return d
}

// plant makes a secret that is nowhere else.
func (d *drive) plant(name string) string {
	return d.keep(name, "planted-"+rand.Text())
}

// keep notes a secret under a name.
func (d *drive) keep(name, secret string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(secret) < fragment {
		d.t.Errorf("%s is no secret: %q", name, secret)
		return secret
	}
	for d.secrets[name] != "" && d.secrets[name] != secret {
		name += "'"
	}
	d.secrets[name] = secret
	return secret
}

type object map[string]any

// step is one call of the drive.
type step struct {
	method string
	body   object
	as     string   // credential; "" for the admin's
	cookie string   // instead of it
	header []string // more of them
	shows  []string // places in the answer that may show a secret to whoever asked, this once
	whole  bool     // the answer is secret as a whole, and shown once
	fails  string   // the code with which it is refused; "" if it has to succeed
}

// do makes a call, and gives the answer; of a stream all that comes until it ends or there is nothing for a moment.
func (d *drive) do(s step) gjson.Result {
	d.t.Helper()
	m := d.methods[s.method]
	if m == nil {
		d.t.Fatalf("there is no method %s", s.method)
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	status, header, text := d.send(ctx, m, s)
	d.keepAnswer(s, header, text)
	answer := gjson.ParseBytes(text)
	switch {
	case s.fails != "":
		if answer.Get("code").Str != s.fails {
			d.t.Errorf("%s: %d %s, not %s", s.method, status, text, s.fails)
		}
		d.mu.Lock()
		d.refused[s.method] = true
		d.mu.Unlock()
	case status != http.StatusOK || answer.Get("error").Exists():
		d.t.Errorf("%s: %d %s", s.method, status, text)
	default:
		d.mu.Lock()
		d.driven[s.method] = true
		d.mu.Unlock()
	}
	return answer
}

// call is do for methods by their names alone.
func (d *drive) call(method string, body object, shows ...string) gjson.Result {
	d.t.Helper()
	return d.do(step{method: method, body: body, shows: shows})
}

func (d *drive) request(ctx context.Context, m protoreflect.MethodDescriptor, s step) *http.Request {
	d.t.Helper()
	if s.body == nil {
		s.body = object{}
	}
	body, err := json.Marshal(s.body)
	if err != nil {
		d.t.Fatal(err)
	}
	kind := "application/json"
	if m.IsStreamingServer() {
		kind = "application/connect+json"
		body = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
	}
	service, name, _ := strings.Cut(s.method, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.controlAddr+"/tollgate.control.v1."+service+"/"+name, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Connect-Protocol-Version", "1")
	switch {
	case s.cookie != "":
		req.Header.Set("Cookie", "tollgate_session="+s.cookie)
	case s.as == "":
		req.Header.Set("Authorization", "Bearer "+adminToken)
	case s.as != nobody:
		req.Header.Set("Authorization", "Bearer "+s.as)
	}
	options, _ := m.Options().(*descriptorpb.MethodOptions)
	if !m.IsStreamingServer() && options.GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
		d.mu.Lock()
		d.calls++
		req.Header.Set("Idempotency-Key", fmt.Sprint("drive-", d.calls))
		d.mu.Unlock()
	}
	for i := 0; i+1 < len(s.header); i += 2 {
		req.Header.Set(s.header[i], s.header[i+1])
	}
	return req
}

// nobody is who has no credential.
const nobody = "nobody"

func (d *drive) send(ctx context.Context, m protoreflect.MethodDescriptor, s step) (int, http.Header, []byte) {
	d.t.Helper()
	resp, err := plain.Do(d.request(ctx, m, s))
	if err != nil {
		d.t.Fatalf("%s: %v", s.method, err)
	}
	defer resp.Body.Close()
	if !m.IsStreamingServer() {
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			d.t.Fatalf("%s: %v", s.method, err)
		}
		return resp.StatusCode, resp.Header, text
	}
	var all []byte
	for {
		message, last, err := nextMessage(resp.Body)
		if err != nil {
			d.t.Fatalf("%s: %v behind %s", s.method, err, all)
		}
		if all = append(all, message...); last || endless[s.method] {
			return resp.StatusCode, resp.Header, all
		}
		all = append(all, '\n')
	}
}

// endless are streams that end with their callers.
var endless = map[string]bool{"EdgeService/WatchFleet": true, "SystemService/WatchChanges": true, "RequestService/TailRequests": true}

func nextMessage(r io.Reader) (message []byte, last bool, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, false, err
	}
	message = make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err = io.ReadFull(r, message)
	return message, head[0]&2 != 0, err
}

// follow reads an endless stream until ctx ends, and says when its first message has come.
func (d *drive) follow(ctx context.Context, running *sync.WaitGroup, method string, body object) (began <-chan struct{}) {
	d.t.Helper()
	req := d.request(ctx, d.methods[method], step{method: method, body: body})
	first := make(chan struct{})
	running.Go(func() {
		resp, err := plain.Do(req)
		if err != nil {
			d.t.Errorf("%s: %v", method, err)
			return
		}
		defer resp.Body.Close()
		for n := 0; ; n++ {
			message, last, err := nextMessage(resp.Body)
			if err != nil || last {
				if ctx.Err() == nil {
					d.t.Errorf("%s ended with %v %s", method, err, message)
				}
				return
			}
			d.keepAnswer(step{method: method}, resp.Header, message)
			if n == 0 {
				d.mu.Lock()
				d.driven[method] = true
				d.mu.Unlock()
				close(first)
			}
		}
	})
	return first
}

var sessionCookie = regexp.MustCompile(`tollgate_session=([^;]+)`)

// keepAnswer keeps an answer without what it may show.
func (d *drive) keepAnswer(s step, header http.Header, text []byte) {
	d.t.Helper()
	header = maps.Clone(header)
	if c := sessionCookie.FindStringSubmatch(header.Get("Set-Cookie")); c != nil {
		d.keep("session cookie", c[1])
		header.Del("Set-Cookie") // it is the answer that shows it
	}
	shown := string(text)
	for _, place := range s.shows {
		value := gjson.GetBytes(text, place).Str
		if at := strings.LastIndex(value, "token="); at >= 0 {
			value = value[at+len("token="):]
		}
		if d.keep(s.method+" "+place, value) != "" {
			shown = strings.ReplaceAll(shown, value, "")
		}
	}
	if s.whole {
		shown = ""
	}
	head, _ := json.Marshal(header)
	d.mu.Lock()
	if d.answers[s.method] == nil {
		d.answers[s.method] = &heard{}
	}
	to := d.answers[s.method]
	d.mu.Unlock()
	to.add(head, []byte(shown))
}

// fetch gets a page or a file as a browser or curl does.
func (d *drive) fetch(client *http.Client, path string, header ...string) *http.Response {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, "http://"+d.controlAddr+path, http.NoBody)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		d.t.Errorf("%s: %s %v %s", path, resp.Status, err, text[max(0, len(text)-300):])
	}
	d.keepAnswer(step{method: "GET " + path}, resp.Header, text)
	return resp
}

// undriven are methods that nothing has called.
func (d *drive) undriven() (missing []string) {
	for name := range d.methods {
		if !d.driven[name] {
			missing = append(missing, name)
		}
	}
	return missing
}
