package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the tests' own binary be the vendor and the load, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == roleVendor || os.Args[1] == roleLoad) {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// Guarantee: the program runs from its first process to its last table; and a proxy that is not there is left out, by name,
// with a word on how to get it.
func TestRunsAndLeavesOut(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	args := []string{"--only", "nginx", "--scenario", "json-1k,h2,latency", "--rounds", "1", "--slice", "50ms"}
	getenv := func(string) string { return "" }
	if err := run(t.Context(), args, getenv, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	p := peers[0]
	if _, err := p.find(getenv); err != nil {
		if !strings.Contains(out.String(), "left out: "+p.name) || !strings.Contains(out.String(), p.install) {
			t.Errorf("nothing is said of what is not there:\n%s", &out)
		}
		return
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, p.title+" ") && strings.Contains(line, " 0.0 ") {
			t.Errorf("it took nothing: %s", line)
		}
	}
	// A row in the tables of two scenarios, of two rates and of memory.
	if rows := strings.Count(out.String(), "\n"+p.title+" "); rows != 5 {
		t.Errorf("%d rows:\n%s", rows, &out)
	}
}

// Guarantee: who looks for a proxy that is not there is told how to get it.
func TestMissingProxy(t *testing.T) {
	t.Parallel()
	missing := peer{name: "sluice", binary: "no-such-proxy", install: "apt-get install sluice"}
	if path, err := missing.find(func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), missing.install) {
		t.Errorf("%q, %v", path, err)
	}
}

// Guarantee: what cannot be run is refused with the option's name, before anything starts.
func TestOptions(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--only envoy":                         "--only",
		"--scenario json-1g":                   "--scenario",
		"--rounds -1":                          "--rounds",
		"--slice 1ms":                          "--slice",
		"--streams -1":                         "--streams",
		"--only nginx --cpuprofile x":          "--cpuprofile",
		"--cpuprofile x --scenario json-100k":  "--cpuprofile",
		"--write --scenario json-1k":           "--write",
		"more":                                 "more",
		"--short --only caddy --scenario x,h2": "--scenario",
	} {
		if _, err := parseOptions(strings.Fields(args), os.Getenv, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that names %s", args, err, want)
		}
	}
	o, err := parseOptions([]string{"--short", "--rounds", "4", "--scenario", "h2,silent"}, os.Getenv, &bytes.Buffer{})
	if err != nil || o.rounds != 4 || o.slice != shortSlice || o.streams != shortStreams {
		t.Errorf("%+v, %v", o, err)
	}
	if len(o.scenarios) != 2 || o.scenarios[0].name != silent {
		t.Errorf("%+v: memory comes first, whatever the order", o.scenarios)
	}
	if o, err := parseOptions(nil, os.Getenv, &bytes.Buffer{}); err != nil || len(o.scenarios) != len(scenarios) || o.slice != time.Second {
		t.Errorf("%+v, %v", o, err)
	}
}

// Guarantee: each scenario has a name of its own, and one that the vendor answers.
func TestScenarios(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range scenarios {
		if seen[s.name] || s.title == "" || s.what == "" || s.path == "" || s.job.Kind == "" {
			t.Errorf("%s", fmt.Sprintf("%+v", s))
		}
		seen[s.name] = true
	}
}
