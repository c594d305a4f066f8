package e2e_test

import (
	"bufio"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vendor"
)

// terminal is somebody at a command line: the same home and folder for every command.
type terminal struct {
	t   *testing.T
	dir string
	env []string
}

func newTerminal(t *testing.T, env ...string) *terminal {
	t.Helper()
	dir := t.TempDir()
	return &terminal{t: t, dir: dir, env: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)}
}

func (w *terminal) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.t.Context(), bin.tollgate, args...)
	cmd.Env, cmd.Dir = w.env, w.dir
	return cmd
}

// run runs a command line with an input and gives what it printed and its exit code.
func (w *terminal) run(stdin string, args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	cmd := w.command(args...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// ok is run for a command that must end with 0.
func (w *terminal) ok(args ...string) (stdout string) {
	w.t.Helper()
	stdout, stderr, code := w.run("", args...)
	if code != 0 {
		w.t.Fatalf("tollgate %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// overTLS puts TLS in front of the control plane, of an authority of the test's own, and gives the address and the authority's file.
func (c *cluster) overTLS() (address, authority string) {
	c.t.Helper()
	to, err := url.Parse("http://" + c.controlAddr)
	if err != nil {
		c.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, FlushInterval: -1}
	front := httptest.NewTLSServer(proxy)
	c.t.Cleanup(front.Close)
	authority = filepath.Join(c.t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return front.URL, authority
}

// typed is a command of a session and what it must come to.
type typed struct {
	line   string // split at spaces; what has spaces itself is in args
	args   []string
	stdin  string
	exit   int
	stdout string // a regular expression; empty for whatever
	stderr string
}

func (w *terminal) session(steps []typed) {
	w.t.Helper()
	for _, s := range steps {
		args := append(strings.Fields(s.line), s.args...)
		stdout, stderr, code := w.run(s.stdin, args...)
		if code != s.exit || !regexp.MustCompile("(?m)"+s.stdout).MatchString(stdout) || !regexp.MustCompile("(?m)"+s.stderr).MatchString(stderr) {
			w.t.Errorf("tollgate %s: exit %d, want %d, %q and %q\n--- stdout\n%s--- stderr\n%s", strings.Join(args, " "), code, s.exit, s.stdout, s.stderr, stdout, stderr)
		}
	}
}

// signIn signs in by a browser: the command shows a code, and a person who has a session allows it.
func (w *terminal) signIn(c *cluster, link string, args ...string) {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	_, token, _ := strings.Cut(strings.TrimSpace(link), "#token=")
	browser := controlv1connect.NewAccountServiceClient(&http.Client{Jar: jar}, "http://"+c.controlAddr)
	if _, err := browser.RedeemLink(w.t.Context(), &controlv1.RedeemLinkRequest{Token: token, Name: "Kim", Password: "a long enough password"}); err != nil {
		w.t.Fatal(err)
	}
	login := w.command(append([]string{"login"}, args...)...)
	stderr, err := login.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := login.Start(); err != nil {
		w.t.Fatal(err)
	}
	code := regexp.MustCompile(`allow the code ([A-Z0-9-]+)\.`)
	said := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said += lines.Text() + "\n"
		if m := code.FindStringSubmatch(lines.Text()); m != nil {
			if _, err := browser.DecideDeviceSignIn(w.t.Context(), &controlv1.DecideDeviceSignInRequest{UserCode: m[1], Allow: true}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if err := login.Wait(); err != nil || !strings.Contains(said, "signed in to") {
		w.t.Fatalf("login: %v\n%s", err, said)
	}
}

// Guarantee: a person who has nothing but the address of a control plane and its authority signs in by a browser and does everything
// with commands, over TLS, against edges that serve.
func TestCommandLineSession(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.vendor.Handle(vendor.JSON(http.StatusOK, `{"result":"a book"}`))
	server, authority := c.overTLS()
	gateway := "http://" + c.edgeAddrs[0]

	admin := newTerminal(t, "TOLLGATE_SERVER="+server, "TOLLGATE_TOKEN="+adminToken, "TOLLGATE_CA_FILE="+authority)
	link := admin.ok("person", "create", "kim@example.com", "--role", "owner")

	w := newTerminal(t)
	w.session([]typed{
		{line: "context add live --env prod --server " + server + " --ca-file " + authority + " --gateway " + gateway, stderr: `context live \(production\) added`},
		{line: "status", exit: 4, stderr: "tollgate login"},
	})
	w.signIn(c, link, "--context", "live")
	w.watchTop("edge-2")
	w.session([]typed{
		{line: "whoami", stdout: `^who\tkim@example.com$`},
		{line: "status", stdout: `^edges\t2 of 2 live$`},
		{line: "secret create bria", stdin: "s3cret-value\n", stderr: "secret bria"},
		{line: "endpoint create bria --path /bria --price 0.25 --target " + c.vendor.URL, args: []string{"--header", "api_token: ${secret:bria}"}, stderr: `live on 2/2 edges in [0-9.]+ s`},
		{line: "endpoint list -o name", stdout: "^bria$"},
		{line: "endpoint get bria", stdout: `^path\t/bria`},
		{line: "endpoint set bria --timeout 20s", stderr: "endpoint bria changed"},
		{line: "endpoint history bria", stdout: "kim@example.com\tupdate"},
		{line: "endpoint disable bria --yes", stderr: "live on 2/2 edges"},
		{line: "endpoint enable bria", stderr: "live on 2/2 edges"},
		{line: "endpoint probe bria", stdout: "^edge-1\tyes\t200"},
		{line: "endpoint preview bria", stdout: "^route\t/bria"},
		{line: "secret refs bria", stdout: "^endpoint\tbria\t"},
		{line: "team create search", stderr: "team search created"},
		{line: "team add-member search kim@example.com --role admin"},
		{line: "team get search", stdout: "^member\tkim@example.com, admin$"},
		{line: "key create ci-bot --team search --endpoint bria", stdout: "^tgk_"},
		{line: "key get ci-bot", stdout: "^team\tsearch$"},
		{line: "key set ci-bot --tag nightly", stderr: "live on 2/2 edges"},
		{line: "customer create acme", stderr: "customer acme created"},
		{line: "tag set nightly", args: []string{"--description", "at night"}},
		{line: "tag list -o name", stdout: "^nightly$"},
		{line: "limit create fast --key ci-bot --kind requests --amount 600", stderr: "limit fast created"},
		{line: "limit list -o name", stdout: "^fast$"},
		{line: "try POST /bria/x --as ci-bot -d {}", stdout: `a book`, stderr: `(?s)200 OK.*cost \$0\.25.*edge edge-[12] rev [0-9]+`},
		{line: "try POST /bria/x --as ci-bot -d {} --edge edge-2", stderr: `edge edge-2`},
		{line: "try POST /bria/x --as ci-bot -d {} --dry-run", stdout: "^request\t✓ sent to POST " + regexp.QuoteMeta(c.vendor.URL)},
		{line: "try POST /nowhere --as ci-bot --dry-run", exit: 3, stdout: "✗ refused"},
		{line: "try POST /bria/x --as nobody", exit: 3, stderr: "nobody"},
		{line: "try POST /bria/x --as ci-bot --key x", exit: 2},
		{line: "budget create tight --key ci-bot --amount 0.30 --period day", stderr: "budget tight created"},
		{line: "budget get tight", stdout: `\$0\.30`},
		{line: "try POST /bria/x --as ci-bot -d {} --edge edge-1", stdout: "a book"},
		{line: "try POST /bria/x --as ci-bot -d {} --edge edge-1", exit: 7, stdout: "budget_exhausted", stderr: "^  fix "},
		{line: "explain POST /bria/x --key ci-bot", stdout: "^answer\t402 budget_exhausted"},
		{line: "budget raise tight --by 5 --until-reset", stderr: "tight"},
		{line: "tail --no-follow --status 4xx", stdout: "\t402\tPOST\t/bria/x\tci-bot\tbria\tbudget_exhausted\t"},
		{line: "tail --no-follow --min-cost 0.2 -o ndjson --jq .cost.amount", stdout: `^0\.25$`},
		{line: "tail --no-follow --key nobody", stdout: `^$`},
		{line: "tail --status nothing", exit: 2, stderr: "is no status"},
		{line: "top --count 1", stdout: "^edge-2\tlive\t"},
		{line: "top --count 1 -o json --jq .edges[0].id", stdout: "^edge-1$"},
		{line: "key rotate ci-bot --overlap 1h --yes", stdout: "^tgk_"},
		{line: "key end-overlap ci-bot --yes", stderr: "stopped working"},
		{line: "key block ci-bot --yes", stderr: "live on 2/2 edges"},
		{line: "try POST /bria/x --as ci-bot -d {}", exit: 4, stdout: "key_blocked"},
		{line: "key unblock ci-bot", stderr: "let in again"},
		{line: "settings set --name ACME"},
		{line: "settings get", stdout: "ACME"},
		{line: "token create ci --may keys-read --expires 90d", stdout: "^tgs_"},
		{line: "token list -o name", stdout: "^ci$"},
		{line: "token revoke ci --yes", stderr: "token ci revoked"},
		{line: "person list -o name", stdout: "^kim@example.com$"},
		{line: "edge list -o name", stdout: "^edge-1$"},
		{line: "edge get edge-1", stdout: "^status\tlive$"},
		{line: "edge rollout --wait 10s", stderr: "is live on 2/2 edges"},
		{line: "edge drain edge-2 --yes", stderr: "edge edge-2 drains"},
		{line: "edge undrain edge-2", stderr: "serves again"},
		{line: "edge probe " + c.vendor.URL, stdout: "^edge-2\tyes\t200"},
		{line: "edge reset-breaker bria", stdout: "^edge-1\t"},
		{line: "edge join-token fra-3", stdout: "^tgj_"},
		{line: "search bri", stdout: "^endpoint\tbria"},
		{line: "audit list --filter kind:endpoint -o ndjson", stdout: `"actor":"kim@example.com"`},
		{line: "usage --group-by key", stderr: ""},
		{line: "export", stdout: "(?s)endpoints:.*bria"},
		{line: "config drift"},
		{line: "price test bria --request-body response.json", exit: 2},
		{line: "model list"},
		{line: "adapter list"},
		{line: "template list -o name", stdout: "^openai$"},
		{line: "endpoint get nothing", exit: 3},
		{line: "endpoint create bria --path /other --price 1 --target https://t.example", exit: 5},
		{line: "endpoint delete bria --no-input", exit: 2, stderr: "for production: confirm with --yes"},
		{line: "customer delete acme --yes"},
		{line: "limit delete fast --yes"},
		{line: "budget delete tight --yes"},
		{line: "key revoke ci-bot --yes", stderr: "live on 2/2 edges"},
		{line: "endpoint delete bria --yes", stderr: "live on 2/2 edges"},
		{line: "secret delete bria --yes"},
		{line: "logout", stderr: "signed out"},
		{line: "whoami", exit: 4},
	})
}

// heartbeat has an edge that does not exist say something of itself.
func (c *cluster) heartbeat(beat *eventv1.Heartbeat) {
	c.t.Helper()
	conn, err := nats.Connect(c.natsURL)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	raw, err := proto.Marshal(beat)
	if err == nil {
		err = conn.Publish(contract.Fleet(beat.GetEdge()), raw)
	}
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// Guarantee: doctor finds what is wrong with a real deployment, says how to mend it and ends with 1: a variable and a secret that an
// edge does not have, a target that is not there, a clock that is wrong, an edge that lags, a token that is wrong, a file that others
// can read, a ledger that is away, a spool that is full, a NATS that is lost, a database and a control plane that are gone.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := start(t, withEdges(1), withOwnPostgres, withEdgeYAML("spool_max_bytes: 262144"))
	c.vendor.Handle(vendor.JSON(http.StatusOK, `{}`))
	w := newTerminal(t, "TOLLGATE_SERVER=http://"+c.controlAddr, "TOLLGATE_TOKEN="+adminToken, "TOLLGATE_GATEWAY=http://"+c.edgeAddrs[0])
	finds := func(w *terminal, what ...string) {
		t.Helper()
		testenv.Eventually(t, eventually, func() error {
			stdout, stderr, code := w.run("", "doctor")
			if code != 1 {
				return fmt.Errorf("exit %d\n%s%s", code, stdout, stderr)
			}
			for _, one := range what {
				if !regexp.MustCompile("(?m)" + one).MatchString(stdout) {
					return fmt.Errorf("it does not say %q\n%s%s", one, stdout, stderr)
				}
			}
			return nil
		})
	}
	w.ok("endpoint", "create", "bria", "--path", "/bria", "--target", c.vendor.URL, "--price", "0.01")
	if stdout, stderr, code := w.run("", "doctor"); code != 0 || !strings.Contains(stdout, "✓ nats") || !strings.Contains(stdout, "✓ targets") {
		t.Fatalf("what is well is not: exit %d\n%s%s", code, stdout, stderr)
	}
	key := strings.TrimSpace(w.ok("key", "create", "ci"))

	w.ok("endpoint", "create", "cohere", "--path", "/cohere", "--target", "http://nowhere.invalid", "--price", "1", "--header", "authorization: ${env:NO_SUCH_VARIABLE}")
	w.ok("secret", "create", "lost", "--reference", "file:/run/secrets/not-there")
	w.ok("endpoint", "create", "lost", "--path", "/lost", "--target", c.vendor.URL, "--price", "1", "--header", "authorization: ${secret:lost}")
	finds(w, `^✗ edge edge-1 .*variables that endpoints refer to: NO_SUCH_VARIABLE`, `^✗ edge edge-1 .*cannot read the secret lost`, `^✗ targets .*nowhere\.invalid.*\(dns\)`, `^ +fix: `)

	testenv.Eventually(t, eventually, func() error {
		info, err := c.rpc.system.GetInfo(t.Context(), &controlv1.GetInfoRequest{})
		if err != nil {
			return err
		}
		c.heartbeat(&eventv1.Heartbeat{Edge: "mars-1", Inc: 1, Epoch: info.GetEpoch(), Revision: 1, SentUnixMs: time.Now().Add(-90 * time.Second).UnixMilli()})
		stdout, _, _ := w.run("", "doctor", "--edge", "mars-1", "--no-targets")
		if !regexp.MustCompile(`✗ edge mars-1 .*clock is 1m30(\.[0-9])?s behind`).MatchString(stdout) || !strings.Contains(stdout, "Serves revision 1, and the newest is") {
			return errors.New(stdout)
		}
		return nil
	})

	finds(newTerminal(t, "TOLLGATE_SERVER=http://"+c.controlAddr, "TOLLGATE_TOKEN=tga_wrong"), `^✗ token .*does not know it`)
	open := newTerminal(t)
	contexts := filepath.Join(open.dir, "contexts.yaml")
	open.env = append(open.env, "TOLLGATE_CONFIG="+contexts)
	if err := os.WriteFile(contexts, []byte("current: x\ncontexts: {x: {server: \"http://"+c.controlAddr+"\", token: "+adminToken+"}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	finds(open, `^✗ contexts .*Others on this machine can read`, `fix: chmod 600 `)

	c.ledger.kill()
	full := false
	for range 20_000 {
		resp, _, err := c.call(0, key, "/bria/x")
		if err != nil {
			t.Fatal(err)
		}
		if full = resp.StatusCode == http.StatusServiceUnavailable; full {
			break
		}
	}
	if !full {
		t.Fatal("the spool is not full")
	}
	finds(w, `^✗ ledger .*does not answer`, `^✗ edge edge-1 .*spool is full to [0-9]+ %`, `^✗ edge edge-1 .*not booked for .*the ledger lags`)

	c.nats.kill()
	finds(w, `^✗ nats .*not connected to NATS`)
	c.killPostgres()
	finds(w, `^✗ database .*database cannot be reached`)
	c.control.kill()
	finds(w, `^✗ control plane .*No Tollgate at`)
}
