package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/testenv"
)

// The test binary run again with this variable set looks for its database.
const childEnv = "WITH_POSTGRES_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

func child() int {
	cfg, err := pgx.ParseConfig(os.Getenv(testenv.Env))
	if err != nil || cfg.Host != "127.0.0.1" {
		return 1
	}
	return 42
}

// Guarantee: the command gets an address, and its exit code is handed on.
func TestRun(t *testing.T) {
	t.Setenv(childEnv, "1")
	t.Setenv(testenv.Env, "")
	var out bytes.Buffer
	if code := run([]string{os.Args[0]}, nil, &out, &out); code != 42 {
		t.Errorf("exit code %d: %s", code, &out)
	}
	// Guarantee: a server that is named already is used.
	t.Setenv(testenv.Env, "postgres://u@127.0.0.1:1/x")
	if code := run([]string{os.Args[0]}, nil, &out, &out); code != 42 {
		t.Errorf("exit code %d: %s", code, &out)
	}
	out.Reset()
	if code := run([]string{"/no/such/command"}, nil, &out, &out); code != 1 || !strings.Contains(out.String(), "no such file") {
		t.Errorf("exit code %d: %s", code, &out)
	}
	if code := run(nil, nil, &out, &out); code != 2 {
		t.Errorf("exit code %d", code)
	}
}
