package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/mod/semver"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/cli/contexts"
	"tollgate/internal/telemetry"
)

// mostSkew is by how much clocks may differ. Tickets, the ends of keys and the windows of budgets go by them.
const mostSkew = time.Second

// here looks at this machine, and says whether a control plane can be called.
func (x *examination) here() bool {
	path := contexts.Path(x.Getenv)
	file, err := x.loadContexts()
	if err != nil {
		f := x.describe(context.Background(), err)
		x.bad("contexts", f.hint, "%s", f.message)
		return false
	}
	x.contextsFile(path, file)
	p, err := x.place()
	if err != nil {
		f := x.describe(context.Background(), err)
		x.bad("context", f.hint, "%s", f.message)
		return false
	}
	if p.name != "" {
		x.good("context", "%s: %s", p.name, p.Server)
	} else {
		x.good("context", "none; %s", p.Server)
	}
	if strings.HasPrefix(p.Server, "http://") && !onThisMachine(p.Server) {
		x.note("transport", "Name an https URL, and the authority with --ca-file if it is your own.", "%s is called without TLS: everybody on the way can read the token", p.Server)
	}
	token, err := x.token()
	switch {
	case err != nil:
		f := x.describe(context.Background(), err)
		x.bad("token", f.hint, "%s", f.message)
		return false
	case token == "":
		x.bad("token", fmt.Sprintf("Sign in with `%s login`, or set TOLLGATE_TOKEN.", x.Program), "there is none for %s", p.Server)
	}
	return true
}

// contextsFile looks at who can read the tokens in the file of contexts.
func (x *examination) contextsFile(path string, file contexts.File) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || path == "":
		x.good("contexts", "there are none")
		return
	case err != nil:
		x.bad("contexts", "Correct the file's rights, or name another with TOLLGATE_CONFIG.", "%s", err)
		return
	}
	tokens := 0
	for _, c := range file.Contexts {
		if c.Token != "" {
			tokens++
		}
	}
	if open := info.Mode().Perm() & 0o077; open != 0 && runtime.GOOS != "windows" {
		text := fmt.Sprintf("others on this machine can read %s (mode %04o)", path, info.Mode().Perm())
		if tokens > 0 {
			x.bad("contexts", "chmod 600 "+path, "%s, with %s in it", text, several(tokens, "token"))
		} else {
			x.note("contexts", "chmod 600 "+path, "%s", text)
		}
		return
	}
	x.good("contexts", "%s in %s", several(len(file.Contexts), "context"), path)
}

func onThisMachine(server string) bool {
	return strings.HasPrefix(server, "http://localhost") || strings.HasPrefix(server, "http://127.") || strings.HasPrefix(server, "http://[::1]")
}

// server looks at the control plane and what it needs, and says whether it can be asked for more.
func (x *examination) server(ctx context.Context, c clients) bool {
	if !x.answers(ctx, "control plane", "/healthz", "") || !x.answers(ctx, "database", "/readyz", "Start PostgreSQL, and look at database_url of the control plane and its log; a schema that is too old needs `tollgate migrate`.") {
		return false
	}
	caller, err := c.account.GetCaller(ctx, &controlv1.GetCallerRequest{})
	if err != nil {
		if connect.CodeOf(err) == connect.CodeUnauthenticated {
			if token, _ := x.token(); token != "" {
				x.bad("token", fmt.Sprintf("Sign in with `%s login`, or correct TOLLGATE_TOKEN or --token-file.", x.Program), "the control plane does not know it: it is wrong, revoked or expired")
			}
			return false
		}
		x.failing(ctx, "token", err)
		return false
	}
	if end := caller.GetExpireTime(); end != nil && end.AsTime().Sub(x.Now()) < 72*time.Hour && caller.GetPerson() == nil {
		x.note("token", "Make another with `tollgate token create`.", "the token of %s ends %s", callerName(caller), x.when(end))
	} else {
		x.good("token", "%s", callerName(caller))
	}
	asked := x.Now()
	info, err := c.system.GetInfo(ctx, &controlv1.GetInfoRequest{})
	answered := x.Now()
	if err != nil {
		x.failing(ctx, "control plane", err)
		return false
	}
	x.versions(info)
	if info.GetTime() != nil {
		// The answer was written somewhere between the question and now.
		middle := asked.Add(answered.Sub(asked) / 2)
		skew := max(middle.Sub(info.GetTime().AsTime()).Abs()-answered.Sub(asked)/2, 0)
		if skew > mostSkew {
			x.note("clock", "Set this machine's clock with NTP, or the control plane's.", "the clock of this machine differs by %s from the control plane's", skew.Round(100*time.Millisecond))
		} else {
			x.good("clock", "as the control plane's")
		}
	}
	x.infrastructure(info)
	x.console(ctx)
	return true
}

// answers asks one of the addresses that need no token.
func (x *examination) answers(ctx context.Context, name, path, fix string) bool {
	client, err := x.client()
	if err != nil {
		x.failing(ctx, name, err)
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(x.serverURL(), "/")+path, http.NoBody)
	if err != nil {
		x.failing(ctx, name, err)
		return false
	}
	res, err := client.Do(req)
	if err != nil {
		reason, ok := unreachable(err)
		if !ok {
			reason = err.Error()
		}
		hint := "Start one with `tollgate dev`, or name another with --server or TOLLGATE_SERVER."
		if strings.Contains(reason, "certificate") {
			hint = "Name the authority that signed the server's certificate with --ca-file, or correct the server's certificate."
		}
		x.bad(name, hint, "No Tollgate at %s (%s).", x.serverURL(), reason)
		return false
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 200))
	if text := strings.TrimSpace(string(body)); res.StatusCode != http.StatusOK {
		x.bad(name, first(fix, "Check the address: it is the control plane's, not the gateway's."), "%s at %s answers %s: %s", path, x.serverURL(), res.Status, text)
		return false
	}
	x.good(name, "answers")
	return true
}

// versions compares what talks to each other.
func (x *examination) versions(info *controlv1.GetInfoResponse) {
	own, server := version(telemetry.Version()), version(info.GetVersion())
	oldest := version(info.GetOldestClient())
	fix := "Install the version of the control plane."
	switch {
	case !semver.IsValid(own) || !semver.IsValid(server):
		x.good("versions", "command %s, control plane %s", telemetry.Version(), info.GetVersion())
	case semver.IsValid(oldest) && semver.Compare(own, oldest) < 0:
		x.bad("versions", fix, "this command is %s, and the control plane needs %s or newer", telemetry.Version(), info.GetOldestClient())
	case semver.MajorMinor(own) != semver.MajorMinor(server):
		x.note("versions", fix, "this command is %s, and the control plane %s", telemetry.Version(), info.GetVersion())
	default:
		x.good("versions", "command %s, control plane %s", telemetry.Version(), info.GetVersion())
	}
}

// version is a version as semver writes it.
func version(text string) string {
	if text != "" && !strings.HasPrefix(text, "v") {
		return "v" + text
	}
	return text
}

// infrastructure is what the control plane says of what is behind it.
func (x *examination) infrastructure(info *controlv1.GetInfoResponse) {
	if info.GetNats() {
		x.good("nats", "connected")
	} else {
		x.bad("nats", "Start nats-server, and look at nats.url and its credentials in the settings of the control plane. Edges go on with what they have; changes wait.",
			"the control plane is not connected to NATS: no change reaches the edges")
	}
	switch {
	case info.Ledger == nil:
		x.note("ledger", "Set ledger_url and ledger_token of the control plane.", "the control plane knows of none: it cannot tell what was spent")
	case !info.GetLedger():
		x.bad("ledger", "Start the ledger, and look at ledger_url and ledger_token of the control plane and at the ledger's log.", "it does not answer the control plane")
	default:
		x.good("ledger", "answers")
	}
}
