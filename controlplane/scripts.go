package controlplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"tollgate/controlplane/litellmapi"
	"tollgate/controlplane/rpc"
	"tollgate/internal/fault"
	"tollgate/internal/telemetry"
)

// scripts answers LiteLLM's management calls on an address of their own.
type scripts struct {
	log      *slog.Logger
	listener net.Listener
	http     *http.Server
}

func newScripts(ctx context.Context, s *Server, control http.Handler) (*scripts, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.cfg.LiteLLMAPI)
	if err != nil {
		return nil, fmt.Errorf("listen for the LiteLLM API: %w", err)
	}
	handler := litellmapi.New(litellmapi.Deps{
		Control: control, Store: s.store, Answers: s.vault, Version: telemetry.Version(), Log: s.log, Open: s.checked.Load,
		Caller: func(refuse func(http.ResponseWriter, *http.Request, *fault.Error), next http.Handler) http.Handler {
			return rpc.Authenticate(s.cfg.AdminToken.Reveal(), s.people, refuse, next)
		},
	})
	return &scripts{log: s.log, listener: listener, http: newHTTPServer(handler, s.log)}, nil
}

func (s *scripts) run(ctx context.Context) error {
	s.log.InfoContext(ctx, "the LiteLLM API serves", "addr", s.listener.Addr().String())
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() }) // if it ends before calls could be served
	defer stop()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the LiteLLM API: %w", err)
	}
	<-ctx.Done()
	return nil
}

// LiteLLMAddr is the address of LiteLLM's management calls; empty if they are not answered.
func (s *Server) LiteLLMAddr() string {
	if s.litellm == nil {
		return ""
	}
	return s.litellm.listener.Addr().String()
}
