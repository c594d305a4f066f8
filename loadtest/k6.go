package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// load is what k6 measured.
type load struct {
	requests      int64
	perSecond     float64
	p50, p95, p99 time.Duration
	paid, refused int64
	lost          int64    // requests that an edge took with it when it was killed
	failed        []string // thresholds that were not kept
}

// thresholdsFailed is the exit status of k6 when a run was complete but missed a threshold.
const thresholdsFailed = 99

// runK6 runs a script against the gateways. Output of k6 is shown only when something is wrong.
func runK6(ctx context.Context, o options, script string, gateways []string, secret string, sc scenario, out io.Writer) (load, error) {
	summary := filepath.Join(filepath.Dir(script), sc.name+"-summary.json")
	// Without an address k6 opens no port of its own.
	cmd := exec.CommandContext(ctx, o.k6, "run", "--no-usage-report", "--no-color", "--quiet", "--address=",
		"--summary-trend-stats=p(50),p(95),p(99)", "--summary-export="+summary, script)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "GATEWAYS="+strings.Join(gateways, ","), "KEY="+secret,
		"RATE="+strconv.Itoa(o.rate), "SHAPE="+sc.shape(),
		"DURATION="+sc.lasts(o).String(), "SECONDS="+strconv.Itoa(int(sc.lasts(o).Seconds())), "REQUESTS="+strconv.FormatInt(sc.requests, 10))
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	runErr := cmd.Run()
	if ctx.Err() != nil {
		return load{}, context.Cause(ctx)
	}
	if runErr != nil {
		fmt.Fprintf(out, "%s\n", strings.ReplaceAll(printed.String(), secret, "[key]"))
	}
	if exit := (*exec.ExitError)(nil); runErr != nil && (!errors.As(runErr, &exit) || exit.ExitCode() != thresholdsFailed) {
		return load{}, fmt.Errorf("run k6: %w", runErr)
	}
	raw, err := os.ReadFile(summary)
	if err != nil {
		return load{}, fmt.Errorf("read what k6 measured: %w", err)
	}
	l, err := parseSummary(raw)
	if err == nil && runErr != nil && len(l.failed) == 0 {
		err = fmt.Errorf("run k6: %w", runErr)
	}
	return l, err
}

// parseSummary reads k6's export. In it a threshold is true if it was missed.
func parseSummary(raw []byte) (load, error) {
	var doc struct {
		Metrics map[string]struct {
			Count      int64           `json:"count"`
			Rate       float64         `json:"rate"`
			P50        float64         `json:"p(50)"` // milliseconds, as the others
			P95        float64         `json:"p(95)"`
			P99        float64         `json:"p(99)"`
			Thresholds map[string]bool `json:"thresholds"`
		} `json:"metrics"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return load{}, fmt.Errorf("read what k6 measured: %w", err)
	}
	requests, ok := doc.Metrics["http_reqs"]
	if !ok {
		return load{}, errors.New("k6 sent no request")
	}
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	times := doc.Metrics["http_req_duration"]
	l := load{
		requests: requests.Count, perSecond: requests.Rate,
		p50: ms(times.P50), p95: ms(times.P95), p99: ms(times.P99),
		paid: doc.Metrics["paid_requests"].Count, refused: doc.Metrics["refused_requests"].Count,
		lost: doc.Metrics["lost_requests"].Count,
	}
	for name, metric := range doc.Metrics {
		for threshold, missed := range metric.Thresholds {
			if missed {
				l.failed = append(l.failed, name+" "+threshold)
			}
		}
	}
	slices.Sort(l.failed)
	return l, nil
}
