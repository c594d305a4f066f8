package deployment

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tollgate/internal/program"
)

// answer is one of a vendor.
func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{Marker: {"1"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// Guarantee: only what could not be connected to, or was refused by an edge that stops or is not ready,
// goes to another edge.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	refused := func(status int, code string) error {
		resp := answer(status, fmt.Sprintf(`{"error":{"code":%q}}`, code))
		resp.Header.Del(Marker)
		_, err := Own(resp)
		return err
	}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{refused(503, "shutting_down"), true},
		{refused(503, "snapshot_missing"), true},
		{fmt.Errorf("dial: %w", syscall.ECONNREFUSED), true},
		{refused(503, "budget_unavailable"), false},
		{refused(502, "upstream_unreachable"), false},
		{refused(401, "key_unknown"), false},
		{syscall.ECONNRESET, false},
		{io.EOF, false},
	} {
		if c.err == nil || elsewhere(c.err) != c.want {
			t.Errorf("%v goes elsewhere: %t", c.err, !c.want)
		}
	}
	if _, err := Own(answer(503, "")); err != nil {
		t.Errorf("a vendor's answer was taken for an edge's: %v", err)
	}
}

// Guarantee: what an edge complains of in its log is found, and nothing else.
func TestComplaints(t *testing.T) {
	t.Parallel()
	p := &Process{Program: program.Program{Name: "edge-1", Log: filepath.Join(t.TempDir(), "log")}}
	text := strings.Join([]string{
		`{"level":"INFO","msg":"edge stopped"}`, `{"level":"ERROR","msg":"broken"}`, `time=1 level=ERROR msg="broken"`,
		"panic: no", "requests were cut off by the end of the drain time",
	}, "\n")
	if err := os.WriteFile(p.Log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.complaints(); len(got) != 4 || strings.Contains(strings.Join(got, ""), "stopped") {
		t.Errorf("%q", got)
	}
}
