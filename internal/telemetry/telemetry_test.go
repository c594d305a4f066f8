package telemetry

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLogger(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ format, level, want string }{
		"json":       {"json", "info", `"msg":"shown"`},
		"text":       {"text", "INFO", "msg=shown"},
		"unknown":    {"xml", "loud", `"msg":"shown"`},
		"high level": {"json", "error", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log := NewLogger(&out, tc.format, tc.level)
			log.Debug("hidden")
			log.Info("shown")
			got := out.String()
			if !strings.Contains(got, tc.want) || strings.Contains(got, "hidden") || tc.want == "" && got != "" {
				t.Errorf("wrote %q, want %q", got, tc.want)
			}
		})
	}
	if CheckLogging("json", "warn") != nil || CheckLogging("xml", "warn") == nil || CheckLogging("text", "loud") == nil {
		t.Error("CheckLogging disagrees with NewLogger")
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	vcs := func(rev, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.modified", Value: modified}, {Key: "vcs.revision", Value: rev}}}
	}
	tests := map[string]struct {
		released string
		info     *debug.BuildInfo
		want     string
	}{
		"released":  {"v1.2.3", vcs("abc", "true"), "v1.2.3"},
		"commit":    {"", vcs("0123456789abcdef", "false"), "0123456789ab"},
		"dirty":     {"", vcs("abc", "true"), "abc-dirty"},
		"installed": {"", &debug.BuildInfo{Main: debug.Module{Version: "v0.9.0"}}, "v0.9.0"},
		"devel":     {"", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel"},
		"nothing":   {"", nil, "devel"},
	}
	for name, tc := range tests {
		if got := versionOf(tc.released, tc.info); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	if Version() == "" {
		t.Error("a build without a name")
	}
}

// Guarantee: with a collector configured, spans arrive there by the time
// shutdown returns, with the configured headers.
func TestTracingExports(t *testing.T) {
	t.Parallel()
	type got struct{ path, auth, body string }
	received := make(chan got, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		received <- got{r.URL.Path, r.Header.Get("Authorization"), string(body)}
	}))
	defer collector.Close()
	env := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL + "/base/",
		"OTEL_EXPORTER_OTLP_HEADERS":  "authorization=Bearer%20t,x=y",
	}
	tp, shutdown, err := Tracing(t.Context(), "edge", "v1", func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	_, span := tp.Tracer("test").Start(t.Context(), "exchange")
	span.End()
	if err := shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	g := <-received
	if g.path != "/base/v1/traces" || g.auth != "Bearer t" || !strings.Contains(g.body, "exchange") || !strings.Contains(g.body, "edge") {
		t.Errorf("collector got %q", g)
	}
}

func TestTracingOffAndWrong(t *testing.T) {
	t.Parallel()
	tp, shutdown, err := Tracing(t.Context(), "edge", "v1", func(string) string { return "" })
	if err != nil || shutdown(t.Context()) != nil {
		t.Fatal(err)
	}
	if _, span := tp.Tracer("test").Start(t.Context(), "x"); span.IsRecording() {
		t.Error("records with nowhere to send")
	}
	for _, env := range []map[string]string{
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "ftp://c"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_HEADERS": "sekret"},
	} {
		_, _, err := Tracing(t.Context(), "edge", "v1", func(k string) string { return env[k] })
		if err == nil || strings.Contains(err.Error(), "sekret") {
			t.Errorf("%v: got %v", env, err)
		}
	}
}
