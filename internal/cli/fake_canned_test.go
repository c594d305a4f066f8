package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"tollgate/internal/fault"
)

// canned answers calls with what a script says, and keeps what was asked for. It speaks the same protocol as any
// server of the API; calls that a script says nothing about go on to the next handler.
type canned struct {
	mu      sync.Mutex                 // guards all below
	answers map[string]json.RawMessage // by "Service/Method"
	faults  map[string]*fault.Error
	asked   map[string]asked
	next    http.Handler
}

// asked is the last call of a method.
type asked struct {
	message string
	header  http.Header
}

func (c *canned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/tollgate.control.v1.")
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, ok := c.answers[name]
	refused := c.faults[name]
	if !ok && refused == nil {
		if body, err := io.ReadAll(r.Body); err == nil {
			c.keep(name, r, body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		c.mu.Unlock()
		c.next.ServeHTTP(w, r)
		c.mu.Lock()
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	method := c.keep(name, r, body)
	if refused != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(refused.Status())
		code := "failed_precondition"
		if refused.Kind() == fault.Unavailable {
			code = "unavailable"
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"code": code, "message": refused.Message})
		return
	}
	out := dynamicpb.NewMessage(method.Output())
	if err := protojson.Unmarshal(answer, out); err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	raw, err := proto.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	w.Header().Set("Content-Type", "application/proto")
	_, _ = w.Write(raw)
}

// keep remembers a call of a unary method.
func (c *canned) keep(name string, r *http.Request, body []byte) protoreflect.MethodDescriptor {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("tollgate.control.v1." + strings.ReplaceAll(name, "/", ".")))
	if err != nil {
		return nil
	}
	method := found.(protoreflect.MethodDescriptor)
	in := dynamicpb.NewMessage(method.Input())
	if proto.Unmarshal(body, in) != nil {
		return method
	}
	text, err := protojson.Marshal(in)
	if err != nil {
		return method
	}
	// protojson spaces its output differently from run to run.
	var compact any
	if json.Unmarshal(text, &compact) == nil {
		text, _ = json.Marshal(compact)
	}
	c.asked[name] = asked{message: string(text), header: r.Header.Clone()}
	return method
}

// answerWith has a method answer what a file says, in JSON: answer KeyService/RotateKey rotated.json.
func answerWith(ts *testscript.TestScript, neg bool, args []string) {
	c := sessionOf(ts).canned
	c.mu.Lock()
	defer c.mu.Unlock()
	if neg {
		delete(c.answers, args[0])
		delete(c.faults, args[0])
		return
	}
	if code, ok := strings.CutPrefix(args[1], "fault:"); ok {
		c.faults[args[0]] = fault.New(fault.Code(code), "It is not ready.")
		return
	}
	c.answers[args[0]] = json.RawMessage(ts.ReadFile(args[1]))
}

// wantAsked compares the last call of a method: asked KeyService/RotateKey '{"key":"ci"}'; with a header's name in
// front of "=", that: asked KeyService/RotateKey x-tollgate-dry-run=true.
func wantAsked(ts *testscript.TestScript, neg bool, args []string) {
	c := sessionOf(ts).canned
	c.mu.Lock()
	defer c.mu.Unlock()
	got, ok := c.asked[args[0]]
	if len(args) == 1 {
		if ok == neg {
			ts.Fatalf("%s was called: %v", args[0], ok)
		}
		return
	}
	if !ok {
		ts.Fatalf("%s was not called", args[0])
	}
	value := got.message
	want := args[1]
	if name, text, header := strings.Cut(args[1], "="); header && !strings.HasPrefix(args[1], "{") {
		value, want = got.header.Get(name), text
	}
	if (value == want) == neg {
		ts.Fatalf("%s was asked %s", args[0], value)
	}
	delete(c.asked, args[0])
}
