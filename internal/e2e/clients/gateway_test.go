package clients_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/internal/program"
)

// soon is how long anything may take that must happen in the end.
const soon = 20 * time.Second

// vendorKey is the credential that the vendor asks for and the gateway adds.
const vendorKey = "vendor-credential-f00d"

// gateway is a running `tollgate dev`.
type gateway struct {
	program.Program

	dir  string
	url  string
	life *program.Life
}

func startGateway(bin, dir string) (_ *gateway, err error) {
	g := &gateway{dir: dir}
	g.Program = program.Program{
		Name: "tollgate dev", Path: bin, Args: []string{"dev", "--data", dir, "--port", "0", "--control-port", "0"},
		Env: g.env("VENDOR_KEY=" + vendorKey), Log: dir + ".log",
	}
	if g.life, err = g.Start(); err != nil {
		return nil, err
	}
	if err := g.life.Await(context.Background(), func(context.Context) error {
		if !strings.Contains(g.printed(), "Stop with ^C") {
			return errors.New("its banner is not whole")
		}
		return nil
	}); err != nil {
		return nil, errors.Join(err, g.stop())
	}
	_, last, _ := strings.Cut(g.printed(), "Gateway")
	line, _, _ := strings.Cut(strings.TrimSpace(last), "\n")
	g.url = strings.TrimSpace(line)
	return g, nil
}

// env is a small environment, so that nothing of the machine's decides what is tested. A PostgreSQL that is
// installed in an odd place is still found.
func (g *gateway) env(more ...string) []string {
	env := append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TOLLGATE_CONFIG=" + filepath.Join(g.dir, "contexts.yaml")}, more...)
	if at := os.Getenv("PG_BIN"); at != "" {
		env = append(env, "PG_BIN="+at)
	}
	return env
}

func (g *gateway) printed() string { return g.Tail(math.MaxInt) }

// stop ends the process, which must stop by itself and without an error.
func (g *gateway) stop() error { return g.life.End(30 * time.Second) }

// cli runs tollgate in the folder of the data, where it finds the server by itself.
func (g *gateway) cli(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, g.Path, args...)
	cmd.Dir, cmd.Env = g.dir, g.env("VENDOR_KEY="+vendorKey, "VENDOR_KEY_ID="+awsKeyID)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("tollgate %s: %w\n%s%s", strings.Join(args, " "), err, out, errs.Bytes())
	}
	return string(out), nil
}

// must runs tollgate for a test.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := theGateway.cli(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// price is what a request costs on each route.
const price = "0.25"

// route is an endpoint of a test and the key that may call it.
type route struct {
	name   string
	url    string // of the gateway: what a client takes for the vendor's
	direct string // of the vendor itself
	key    string
}

// newRoute makes an endpoint to the scripted vendor with the tools that people use, and checks the books when
// the test has ended. The vendor takes its credential from the header in which its own clients send it. The
// protocol is that of the target, such as "http=2".
func newRoute(t *testing.T, name, dialect, header, protocol string) route {
	t.Helper()
	r := route{name: name, url: theGateway.url + "/" + name, direct: theVendor.url + "/direct/" + name}
	configured := strings.ReplaceAll(header, vendorKey, "${env:VENDOR_KEY}")
	must(t, "endpoint", "create", name, "--path", "/"+name, "--target", theVendor.url+"/"+name+" "+protocol,
		"--header", configured, "--price", price)
	r.key = newKey(t, name, name)
	headerName, value, _ := strings.Cut(header, ": ")
	theVendor.expect(name, dialect, headerName, value, r.key)
	t.Cleanup(func() {
		theVendor.check(t, name)
		if !t.Failed() {
			checkBooks(t, name)
		}
	})
	return r
}

// newKey makes a key for an endpoint and returns once an edge knows both.
func newKey(t *testing.T, name, endpoint string) string {
	t.Helper()
	key := strings.TrimSpace(must(t, "key", "create", name, "--endpoint", endpoint))
	awaitKey(t, name, endpoint)
	return key
}

// awaitKey returns once an edge knows a key and an endpoint.
func awaitKey(t *testing.T, name, endpoint string) {
	t.Helper()
	err := eventually(func() error {
		out, err := theGateway.cli(t.Context(), "explain", "POST", "/"+endpoint+"/x", "--key", name)
		if err == nil && !strings.Contains(out, "may call endpoint "+endpoint) {
			err = errors.New(out)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// permanent is an error that waiting does not mend.
type permanent struct{ error }

// eventually calls f until it gives no error, and gives the last one if that takes too long.
func eventually(f func() error) error {
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(soon); ; <-tick.C {
		err := f()
		if err == nil || errors.As(err, &permanent{}) || time.Now().After(end) {
			return err
		}
	}
}

// awaitClosed waits for something that the vendor notices.
func awaitClosed(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(5 * time.Second):
		t.Errorf("not within 5 s: %s", what)
	}
}

// recordings is where recorded answers of vendors are.
var recordings = filepath.Join("..", "..", "testenv", "vectors", "testdata")
