package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"tollgate/internal/config"
)

type spool struct {
	Dir    string        `yaml:"dir"`
	MaxAge time.Duration `yaml:"max_age"`
}

type settings struct {
	Listen  string         `yaml:"listen"`
	Debug   bool           `yaml:"debug"`
	Workers int            `yaml:"workers"`
	Ratio   float64        `yaml:"ratio"`
	URLs    []string       `yaml:"urls"`
	Token   config.Secret  `yaml:"token"`
	Spool   spool          `yaml:"spool"`
	Peers   []spool        `yaml:"peers"`
	Limits  map[string]int `yaml:"limits"`
	Hidden  string         `yaml:"-"`
}

func (s *settings) Validate() error {
	var errs []error
	if s.Listen == "" {
		errs = append(errs, errors.New("listen: must be set"))
	}
	if s.Workers <= 0 {
		errs = append(errs, fmt.Errorf("workers: %d is not positive", s.Workers))
	}
	if s.Spool.MaxAge <= 0 {
		errs = append(errs, errors.New("spool.max_age: must be positive"))
	}
	return errors.Join(errs...)
}

func defaults() settings {
	return settings{Listen: ":4000", Workers: 4, Spool: spool{Dir: "spool", MaxAge: time.Minute}}
}

func load(t *testing.T, text string, env map[string]string) (settings, error) {
	t.Helper()
	path := ""
	if text != "" {
		path = filepath.Join(t.TempDir(), "edge.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := defaults()
	err := config.Load(path, "EDGE_", func(name string) (string, bool) { v, ok := env[name]; return v, ok }, &s)
	return s, err
}

func TestLoad(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		env  map[string]string
		want func(*settings)
	}{
		"defaults only":        {want: func(*settings) {}},
		"empty file":           {text: "# nothing\n", want: func(*settings) {}},
		"heading with nothing": {text: "spool:\n", want: func(*settings) {}},
		"values": {
			text: "listen: ':1'\ndebug: true\nworkers: 7\nratio: 0.5\nurls: [a, b]\ntoken: t\nspool: {max_age: 1h30m}\npeers:\n  - dir: x\nlimits: {a: 1}\n",
			want: func(s *settings) {
				s.Listen, s.Debug, s.Workers, s.Ratio, s.URLs, s.Token = ":1", true, 7, 0.5, []string{"a", "b"}, "t"
				s.Spool.MaxAge, s.Peers, s.Limits = 90*time.Minute, []spool{{Dir: "x"}}, map[string]int{"a": 1}
			},
		},
		"alias": {
			text: "peers: [&p {dir: x}, *p]\n",
			want: func(s *settings) { s.Peers = []spool{{Dir: "x"}, {Dir: "x"}} },
		},
		"variables": {
			text: "# ${IGNORED}\nlisten: ${HOST}:80\nworkers: ${N}\nurls: ['${A}']\ntoken: \"${TRICKY}\"\nspool: {dir: \"$${HOME}\"}\n",
			env:  map[string]string{"HOST": "h", "N": "9", "A": "12", "TRICKY": "a: b\n#c\"'"},
			want: func(s *settings) {
				s.Listen, s.Workers, s.URLs, s.Token, s.Spool.Dir = "h:80", 9, []string{"12"}, "a: b\n#c\"'", "${HOME}"
			},
		},
		"variable looking like something else stays text": {
			text: "listen: ${V}\ntoken: ${W}\nspool:\n  dir: ${E}\n",
			env:  map[string]string{"V": "0123", "W": "null", "E": ""},
			want: func(s *settings) { s.Listen, s.Token, s.Spool.Dir = "0123", "null", "" },
		},
		"environment wins": {
			text: "listen: ':1'\n",
			env: map[string]string{
				"EDGE_LISTEN": ":2", "EDGE_DEBUG": "true", "EDGE_WORKERS": "3", "EDGE_RATIO": "0.1",
				"EDGE_URLS": "a, b,", "EDGE_TOKEN": "t", "EDGE_SPOOL_MAX_AGE": "5s", "EDGE_HIDDEN": "no",
			},
			want: func(s *settings) {
				s.Listen, s.Debug, s.Workers, s.Ratio, s.URLs, s.Token = ":2", true, 3, 0.1, []string{"a", "b"}, "t"
				s.Spool.MaxAge = 5 * time.Second
			},
		},
		"environment repairs the file": {
			text: "workers: 0\n", env: map[string]string{"EDGE_WORKERS": "2"},
			want: func(s *settings) { s.Workers = 2 },
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := load(t, tc.text, tc.env)
			if err != nil {
				t.Fatal(err)
			}
			want := defaults()
			tc.want(&want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %#v\nwant %#v", got, want)
			}
		})
	}
}

// Guarantee: one run shows every problem, with its line and its key, and none
// shows a value.
func TestProblems(t *testing.T) {
	t.Parallel()
	_, err := load(t, strings.Join([]string{
		/* 1 */ "listn: ':1'",
		/* 2 */ "workers: sekret-1",
		/* 3 */ "debug: ${UNSET}",
		/* 4 */ "ratio:",
		/* 5 */ "spool:",
		/* 6 */ "  max_age: 30",
		/* 7 */ "  dir: a",
		/* 8 */ "  dir: b",
		/* 9 */ "listen: ''",
		/* 10 */ "peers: [{dirr: x}]",
		/* 11 */ "limits: {a: sekret-2}",
		/* 12 */ "token: [sekret-3]",
	}, "\n"), map[string]string{"EDGE_RATIO": "sekret-4"})
	if err == nil {
		t.Fatal("no error")
	}
	text := strings.ReplaceAll(err.Error(), "\n", "\n\t")
	for _, want := range []string{
		"edge.yaml:1: listn: unknown key (did you mean listen?)",
		"edge.yaml:2: workers: not a whole number in range",
		"edge.yaml:3: debug: variable UNSET is not set",
		"edge.yaml:4: ratio: has no value",
		`edge.yaml:6: spool.max_age: not a duration such as "30s"`,
		"edge.yaml:8: spool.dir: already set in line 7",
		"edge.yaml:9: listen: must be set",
		"edge.yaml:10: peers[0].dirr: unknown key (did you mean dir?)",
		"edge.yaml:11: limits.a: not a whole number in range",
		"edge.yaml:12: token: must be text",
		"EDGE_RATIO: not a number",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(text, "sekret") {
		t.Error("a value is shown")
	}
	if n := strings.Count(text, "\n"); n != 10 {
		t.Errorf("%d problems, want 11", n+1)
	}
	if t.Failed() {
		t.Logf("the error was:\n\t%s", text)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"syntax":        {"a: [", "edge.yaml"},
		"two documents": {"listen: a\n---\nlisten: b\n", "only one document"},
		"not a mapping": {"- a\n", "must be a mapping"},
		"merge key":     {"peers: [&p {dir: x}]\nspool: {<<: *p}\n", "spool.<<: unknown key"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := load(t, tc.text, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	err := config.Load("/no/such/file", "", os.LookupEnv, &settings{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

type ambiguous struct {
	A struct {
		B string `yaml:"b"`
	} `yaml:"a"`
	AB string `yaml:"a_b"`
}

func (*ambiguous) Validate() error { return nil }

// Guarantee: two keys never share a variable without anyone noticing.
func TestAmbiguousVariable(t *testing.T) {
	t.Parallel()
	err := config.Load("", "X_", func(string) (string, bool) { return "", false }, &ambiguous{})
	if err == nil || err.Error() != "X_A_B: means both a.b and a_b" {
		t.Errorf("got %v", err)
	}
}

// Guarantee: no way of printing shows a secret.
func TestSecret(t *testing.T) {
	t.Parallel()
	s := defaults()
	s.Token = "sk-live"
	var out bytes.Buffer
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%d", "%T %v"} {
		fmt.Fprintf(&out, strings.TrimPrefix(verb, "%T "), s.Token)
		fmt.Fprintf(&out, strings.TrimPrefix(verb, "%T "), s)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("settings", "token", s.Token, "all", s)
	slog.New(slog.NewTextHandler(&out, nil)).Info("settings", "token", s.Token, "all", s)
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	out.Write(y)
	if strings.Contains(out.String(), "sk-live") || strings.Contains(out.String(), fmt.Sprintf("%x", "sk-live")) {
		t.Error(out.String())
	}
	if s.Token.Reveal() != "sk-live" || config.Secret("").String() != "" {
		t.Error("a secret must be usable, and an empty one must look empty")
	}
}
