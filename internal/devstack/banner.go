package devstack

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"tollgate/internal/devstack/sample"
	"tollgate/internal/plan"
	"tollgate/internal/telemetry"
)

// banner prints everything that a newcomer needs, and nothing else.
func (s *stack) banner() error {
	var b strings.Builder
	fmt.Fprintf(&b, "Tollgate %s (dev)%*sready in %.1f s\n\n", telemetry.Version(), max(2, 50-len(telemetry.Version())), "", s.setup.took.Seconds())
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	for i, e := range s.edges {
		name := "Gateway"
		if i > 0 {
			name = ""
		}
		row(name, "%s", s.address(e.Addr()))
	}
	row("Control plane", "%s", s.address(s.control.Addr()))
	row("Console", "%s", s.setup.console.text())
	if url := s.nats.URL(); url != "" {
		row("NATS", "%s  (for edges that join from this machine)", url)
	}
	row("Admin token", "%s", s.creds.AdminToken)
	if s.o.Demo {
		row("Demo key", "%s", demoKey)
	}
	if s.o.SampleData {
		row("Sample key", "%s  (%s; the others are in %s)", s.sample.Keys[sample.CallingKey], sample.CallingKey, filepath.Join(s.o.Dir, sampleFile))
	}
	for _, name := range slices.Sorted(maps.Keys(s.setup.keys)) {
		row("Key "+name, "%s  (shown once)", s.setup.keys[name])
	}
	row("Data", "%s", s.o.Dir)
	if s.o.DatabaseURL != "" {
		row("Database", "%s, named by DATABASE_URL: schemas control and ledger", databaseName(s.o.DatabaseURL))
	}
	s.notes(&b)
	s.next(&b)
	fmt.Fprint(&b, "\n  Stop with ^C.")
	if s.o.DatabaseURL == "" {
		fmt.Fprint(&b, " Start over with --reset.")
	}
	fmt.Fprintln(&b)
	_, err := fmt.Fprint(s.o.Out, b.String())
	return err
}

// address is an address as a URL, and why it is not the one that was asked for.
func (s *stack) address(addr string) string {
	text := "http://" + local(addr)
	if _, port, err := net.SplitHostPort(addr); err == nil && s.moved[port] != 0 {
		text += fmt.Sprintf("  (port %d is in use)", s.moved[port])
	}
	return text
}

// databaseName is what identifies a database and is no credential.
func databaseName(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "the one"
	}
	return u.Host + u.Path
}

// next says what to do now, as commands that can be pasted.
func (s *stack) next(b *strings.Builder) {
	if !s.setup.found {
		fmt.Fprint(b, "\n  The command line finds these servers from other folders than this stack's with:\n\nexport "+
			"TOLLGATE_SERVER=http://"+local(s.control.Addr())+" TOLLGATE_TOKEN="+s.creds.AdminToken+" TOLLGATE_GATEWAY=http://"+local(s.edges[0].Addr())+"\n")
	}
	switch {
	case s.o.Demo:
		fmt.Fprintf(b, `
  1. Call /bria, $12.00 a request, of a mock vendor that runs here:

curl -i -X POST \
  'http://%[1]s/bria/v1/text-to-image/base/2.3' \
  -H 'Content-Type: application/json' \
  -H 'Authorization: Bearer %[2]s' \
  -d '{"prompt": "a book", "num_results": 2, "sync": true}'

  2. Call /llm, a chat that is priced by the tokens its stream tells:

curl -N -X POST \
  'http://%[1]s/llm/v1/chat/completions' \
  -H 'Content-Type: application/json' \
  -H 'Authorization: Bearer %[2]s' \
  -d '{"model": "demo-chat", "stream": true, "messages": [{"role": "user", "content": "Hello there"}]}'

  3. Call the same chat as a model, in Anthropic's language:

curl -i -X POST \
  'http://%[1]s/v1/messages' \
  -H 'Content-Type: application/json' \
  -H 'x-api-key: %[2]s' \
  -d '{"model": "demo-model", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello there"}]}'

  4. See what was spent:

%[3]s usage --group-by key,endpoint
`, local(s.edges[0].Addr()), demoKey, command())
	case s.o.SampleData:
		fmt.Fprintf(b, `
  A month of sample data is here. See what each team has spent, watch requests come in, and make one:

%[1]s usage --group-by team
%[1]s top
%[1]s try /rerank/v1/rerank -d '{"query": "coat", "documents": ["A winter coat", "A swimsuit"]}'
`, command())
	case s.setup.endpoints:
		fmt.Fprintf(b, `
  Next, in another terminal: see what there is, and make a key to call it with.

%[1]s endpoint list
%[1]s key create me
`, command())
	default:
		fmt.Fprintf(b, `
  Next, in another terminal: an endpoint at one cent a request, a key, a call, and what it cost.

%[1]s endpoint create example --path /example --target https://example.com --price 0.01
KEY=$(%[1]s key create me)
%[1]s try /example --key "$KEY"
%[1]s usage --group-by key,endpoint
`, command())
	}
}

func (s *stack) notes(b *strings.Builder) {
	if len(s.setup.notes) == 0 {
		return
	}
	fmt.Fprintf(b, "\n  From %s:\n", s.o.PlanFile)
	sign := map[plan.Level]string{plan.Info: "·", plan.Warning: "!", plan.Refused: "✗"}
	for _, n := range s.setup.notes {
		where := n.Path
		if n.Line > 0 {
			where = fmt.Sprintf("line %d, %s", n.Line, n.Path)
		}
		fmt.Fprintf(b, "  %s %s: %s\n", sign[n.Level], where, n.Text)
	}
}

// local shows a loopback address by the name that people type.
func local(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}
