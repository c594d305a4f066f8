package devstack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	"tollgate/edge"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/telemetry"
)

// Serve is how a stack serves other machines: on addresses that are given, with what files say, and without what only a developer
// wants.
type Serve struct {
	Listen        string // address of the gateway
	ControlListen string // address of the API
	AdminListen   string // address of the edge's metrics and probes; empty for none
	PublicURL     string // where browsers reach the API; empty for this machine
	CertFile      string // of the gateway; empty for plain HTTP
	KeyFile       string
	Private       bool // whether targets may be on loopback and private addresses

	Files  func() (*controlv1.ConfigInput, error) // reads what is to be applied; nil input for nothing
	Again  <-chan os.Signal                       // asks for the files to be applied again
	Served func() error                           // called once everything serves; nil for nobody
}

// edge sets what an edge that serves others has different from a developer's.
func (v *Serve) edge(cfg *edge.Config) {
	cfg.Listen, cfg.AdminListen, cfg.AllowPrivateTargets = v.Listen, v.AdminListen, v.Private
	cfg.TLS.CertFile, cfg.TLS.KeyFile = v.CertFile, v.KeyFile
}

// applyFiles makes the configuration what the files say, all of it or nothing.
func (s *stack) applyFiles(ctx context.Context) error {
	in, err := s.o.Serve.Files()
	if err != nil || in == nil {
		return err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := controlv1connect.NewConfigServiceClient(&http.Client{Transport: bearer{s.creds.AdminToken, transport}}, "http://"+local(s.control.Addr()))
	res, err := client.Apply(ctx, &controlv1.ApplyRequest{What: &controlv1.ApplyRequest_Input{Input: in}})
	if err != nil {
		return err
	}
	for _, n := range res.GetNotes() {
		s.o.Log.WarnContext(ctx, "a note on the configuration", "file", n.GetFile(), "line", n.GetLine(), "note", n.GetText())
	}
	s.o.Log.InfoContext(ctx, "the configuration is what the files say", "revision", res.GetRevision(), "changes", len(res.GetChanges()))
	return nil
}

// reapply applies the files when it is asked to. What is wrong with them is logged, and changes nothing.
func (s *stack) reapply(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.o.Serve.Again:
			if err := s.applyFiles(ctx); err != nil {
				s.o.Log.ErrorContext(ctx, "the files were not applied: the configuration stays as it is", "err", err)
			}
		}
	}
}

// announce says where everything is. It goes to logs, so that it holds no credential.
func (s *stack) announce() error {
	var b strings.Builder
	scheme := "http"
	if s.o.Serve.CertFile != "" {
		scheme = "https"
	}
	fmt.Fprintf(&b, "Tollgate %s serves (ready in %.1f s)\n", telemetry.Version(), s.setup.took.Seconds())
	fmt.Fprintf(&b, "  Gateway        %s://%s\n", scheme, local(s.edges[0].Addr()))
	fmt.Fprintf(&b, "  Control plane  http://%s\n", local(s.control.Addr()))
	fmt.Fprintf(&b, "  Data           %s (credentials.json there opens the control plane: keep a copy in a safe place)\n", s.o.Dir)
	if s.o.DatabaseURL != "" {
		fmt.Fprintf(&b, "  Database       %s\n", databaseName(s.o.DatabaseURL))
	}
	if _, err := fmt.Fprint(s.o.Out, b.String()); err != nil {
		return err
	}
	if s.o.Serve.Served != nil {
		return s.o.Serve.Served()
	}
	return nil
}
