package clients_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
)

// All tests use one gateway and one vendor. Each has an endpoint and a key of its own, so that the books of
// one are not those of another.
var (
	theVendor  *vendor
	theGateway *gateway
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	// These tests wait for other processes most of the time.
	if f := flag.Lookup("test.parallel"); f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil {
			return failed(err)
		}
	}
	dir, err := os.MkdirTemp("", "tollgate-clients-")
	if err != nil {
		return failed(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := filepath.Join(dir, "tollgate")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./cmd/tollgate")
	build.Dir, build.Env = filepath.Join("..", "..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return failed(fmt.Errorf("go build: %w\n%s", err, out))
	}
	theVendor = newVendor()
	defer theVendor.close()
	if theGateway, err = startGateway(bin, filepath.Join(dir, "data")); err != nil {
		return failed(err)
	}
	code := m.Run()
	if err := theGateway.stop(); err != nil {
		code = failed(err)
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "--- the gateway\n%s\n", theGateway.printed())
	}
	return code
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
