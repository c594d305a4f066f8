package devstack

import (
	"fmt"
	"net"
	"strings"

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
		row(name, "http://%s", local(e.Addr()))
	}
	row("Control plane", "http://%s", local(s.control.Addr()))
	row("Admin token", "%s", s.creds.AdminToken)
	if s.o.Demo {
		row("Demo key", "%s", demoKey)
	}
	row("Data", "%s", s.o.Dir)
	s.notes(&b)
	if s.o.Demo {
		fmt.Fprintf(&b, `
  1. Call the endpoint /bria, $12.00 a request, of a mock vendor that runs here:

curl -i -X POST \
  'http://%s/bria/v1/text-to-image/base/2.3' \
  -H 'Content-Type: application/json' \
  -H 'Authorization: Bearer %s' \
  -d '{"prompt": "a book", "num_results": 2, "sync": true}'

  2. See what was spent:

%s usage --group-by key,endpoint
`, local(s.edges[0].Addr()), demoKey, command())
	}
	fmt.Fprintf(&b, "\n  Stop with ^C. Start over with --reset.\n")
	_, err := fmt.Fprint(s.o.Out, b.String())
	return err
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
