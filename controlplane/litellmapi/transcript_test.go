package litellmapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
)

var update = flag.Bool("update", false, "write what calls are answered into testdata")

var (
	random = []struct {
		is   *regexp.Regexp
		show string
	}{
		{regexp.MustCompile(`sk-[A-Za-z0-9_-]{43}`), "sk-NEW"},
		{regexp.MustCompile(`sk-\.\.\.[A-Za-z0-9_-]{4}`), "sk-...LAST"},
		{regexp.MustCompile(`"[0-9a-f]{64}"`), `"HASH"`},
		{regexp.MustCompile(`(key|team|ep|usr)_[0-9A-Za-z]{20,}`), "${1}_ID"},
		{regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`), "TIME"},
	}
	request = regexp.MustCompile(`^> ([A-Z]+) (\S+) ?(.*)$`)
)

// Guarantee: every call that scripts make of LiteLLM is answered here with its fields, its shape and its status, as the transcripts
// in testdata have it; none of them shows the value of a header.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, setup(t), string(want))
			if strings.Contains(got, vendorSecret) {
				t.Error("the value of a header is in an answer")
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("answers differ (-want +got):\n%s", diff)
			}
		})
	}
}

// replay makes the calls of a transcript and writes them down with what they are answered.
func replay(t *testing.T, p *proxy, script string) string {
	t.Helper()
	var out strings.Builder
	values := map[string]string{"vendor": vendorSecret}
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") {
			fmt.Fprintln(&out, line)
			continue
		}
		m := request.FindStringSubmatch(line)
		if m == nil {
			continue // an answer
		}
		fmt.Fprintln(&out, line)
		path, body := m[2], m[3]
		for name, v := range values {
			path, body = strings.ReplaceAll(path, "{"+name+"}", v), strings.ReplaceAll(body, "{"+name+"}", v)
		}
		status, text, _ := p.send(adminToken, m[1], path, body)
		for _, name := range []string{"key", "token"} {
			if v := gjson.Get(text, name); status == 200 && (strings.HasPrefix(v.Str, "sk-") || len(v.Str) == 64) {
				values[name] = v.Str
			}
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, []byte(text), "", "  "); err != nil {
			t.Fatalf("%s: %s is no JSON: %v", line, text, err)
		}
		shown := pretty.String()
		for _, r := range random {
			shown = r.is.ReplaceAllString(shown, r.show)
		}
		fmt.Fprintf(&out, "%d %s\n\n", status, shown)
	}
	return out.String()
}
