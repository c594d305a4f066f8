package edge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/edge"
	"tollgate/internal/config"
)

// partEnv names the part that this process plays in BenchmarkScaleChange, and settingsEnv has the settings of its edge.
const (
	partEnv     = "TOLLGATE_SCALE_PART"
	settingsEnv = "TOLLGATE_SCALE_SETTINGS"
)

// scaleParts are what has a process of its own, so that it neither shares its garbage collector with the edge that is measured nor takes
// from its processors. Each first says its address, then answers a line with a line, and ends with its input.
var scaleParts = map[string]func() error{"edge": playEdge, "traffic": playTraffic}

// part is such a process.
type part struct {
	in   io.WriteCloser
	out  *bufio.Scanner
	addr string
}

// startPart starts one that ends with the benchmark.
func startPart(b *testing.B, name string, env ...string) *part {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, partEnv+"="+name, "GOMAXPROCS=2")...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("%s: %v", name, err)
		}
	})
	p := &part{in: in, out: bufio.NewScanner(out)}
	if !p.out.Scan() {
		b.Fatalf("%s: it did not start", name)
	}
	p.addr = p.out.Text()
	return p
}

// ask sends a line and reads what the part answers.
func (p *part) ask(line string, answer any) error {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return err
	}
	if !p.out.Scan() {
		return errors.Join(p.out.Err(), io.ErrUnexpectedEOF)
	}
	return json.Unmarshal(p.out.Bytes(), answer)
}

// answer answers lines until there are no more.
func answer(addr string, to func(line string) (any, error)) error {
	fmt.Println(addr)
	lines, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		said, err := to(lines.Text())
		if err == nil {
			err = out.Encode(said)
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

// scaleSettings is what an edge in a process of its own is told.
type scaleSettings struct{ Dir, NATS, Sealing string }

// playEdge is an edge. It answers how much CPU it has used.
func playEdge() error {
	var s scaleSettings
	if err := json.Unmarshal([]byte(os.Getenv(settingsEnv)), &s); err != nil {
		return err
	}
	cfg := edge.DefaultConfig()
	cfg.Name, cfg.Listen, cfg.DataDir, cfg.NATS.URL = "lon-1", "127.0.0.1:0", s.Dir, s.NATS
	cfg.SealingKey, cfg.AllowPrivateTargets = config.Secret(s.Sealing), true
	cfg.Notice, cfg.Drain = 0, 5*time.Second
	n, err := edge.New(context.Background(), cfg, edge.Deps{})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	err = answer(n.Addr(), func(string) (any, error) { return usedCPU() })
	stop()
	return errors.Join(err, <-ended)
}

// usedCPU is the CPU that this process has used.
func usedCPU() (time.Duration, error) {
	var of syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &of)
	return time.Duration(of.Utime.Nano() + of.Stime.Nano()), err
}

// window is what requests took that were sent for some time.
type window struct {
	Requests int
	P50, P99 time.Duration
}

// playTraffic is a vendor, and the callers of the edge whose address a line says and for how long they call.
func playTraffic() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go serveScale(l)
	defer l.Close()
	return answer("http://"+l.Addr().String(), func(line string) (any, error) {
		addr, text, _ := strings.Cut(line, " ")
		long, err := time.ParseDuration(text)
		if err != nil {
			return nil, err
		}
		return traffic(addr, long)
	})
}

// serveScale is the vendor. It answers all requests alike, and reads no more of them than it has to.
func serveScale(l net.Listener) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}"
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			in := bufio.NewReader(conn)
			for {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return
				}
				if _, err := io.WriteString(conn, answer); err != nil {
					return
				}
			}
		}()
	}
}

// traffic sends requests over four connections, one at a time on each with a pause between them.
func traffic(addr string, long time.Duration) (window, error) {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	var wg sync.WaitGroup
	var took [4][]time.Duration
	var failed [4]error
	for at := range took {
		wg.Go(func() { took[at], failed[at] = send(ctx, addr, at) })
	}
	wg.Wait()
	all := slices.Sorted(slices.Values(slices.Concat(took[:]...)))
	if err := errors.Join(failed[:]...); err != nil || len(all) == 0 {
		return window{}, fmt.Errorf("%d requests, %w", len(all), err)
	}
	return window{len(all), all[len(all)/2], all[len(all)*99/100]}, nil
}

func send(ctx context.Context, addr string, at int) (took []time.Duration, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	const body = `{"prompt":"a book"}`
	in := bufio.NewReader(conn)
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for i := at; ctx.Err() == nil; i += 4 {
		request := fmt.Appendf(nil, "POST /vendors/%d/api/x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", i%100, key, len(body), body)
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return nil, err
		}
		if _, err := in.Discard(int(resp.ContentLength)); err != nil || resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("status %d, %w", resp.StatusCode, err)
		}
		took = append(took, time.Since(began))
		<-pause.C
	}
	return took, nil
}
