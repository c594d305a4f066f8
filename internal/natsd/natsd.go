// Package natsd runs a NATS server with JetStream inside this process: for the
// all-in-one process and for tests. It is the only package that links the
// server, so that the binaries' roles, which connect to a real cluster through
// package bus, can be tested for not depending on it.
//
// It runs a single server. A cluster is not its business.
package natsd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Options say how to run the server. The zero value has no TCP port and keeps
// streams under a temporary directory that Stop removes.
type Options struct {
	StoreDir string       // where streams are kept; empty for a temporary place
	Port     int          // -1 for a free one, 0 for in-process clients only
	Name     string       // shown in logs and server info
	Users    []User       // who may connect; empty for anyone
	TLS      *tls.Config  // nil for none; in-process clients do not need it
	SyncAll  bool         // sync every message to disk before acknowledging it
	Log      *slog.Logger // nil for none
}

// User is an identity by public nkey and what it may do. An empty list allows
// every subject.
type User struct {
	NKey      string
	Publish   []string
	Subscribe []string
	// Replies lets it answer requests on subjects it may not publish to.
	Replies bool
}

// Server is a running server. Make it with Start and end it with Stop.
type Server struct {
	ns   *server.Server
	temp string
}

// Start returns once clients can connect and JetStream answers.
func Start(o Options) (*Server, error) {
	s := &Server{}
	dir := o.StoreDir
	if dir == "" {
		temp, err := os.MkdirTemp("", "tollgate-nats-")
		if err != nil {
			return nil, fmt.Errorf("natsd: %w", err)
		}
		dir, s.temp = temp, temp
	}
	so := &server.Options{
		ServerName: o.Name,
		Host:       "127.0.0.1",
		Port:       o.Port,
		DontListen: o.Port == 0,
		NoSigs:     true, // signals belong to the process
		JetStream:  true,
		StoreDir:   dir,
		SyncAlways: o.SyncAll,
		TLSConfig:  o.TLS,
		Nkeys:      nkeyUsers(o.Users),
		// All routes are one message. What production runs allows the same (deploy/nats).
		MaxPayload: 8 << 20,
		// A client that reads too slowly is cut off before it costs memory.
		MaxPending: 64 << 20,
	}
	if o.TLS != nil {
		so.TLS, so.TLSTimeout = true, 5
	}
	ns, err := server.NewServer(so)
	if err != nil {
		s.removeTemp()
		return nil, fmt.Errorf("natsd: %w", err)
	}
	s.ns = ns
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &logger{log: log}
	ns.SetLoggerV2(l, false, false, false)
	ns.Start()
	if why := l.fatal.Load(); why != nil {
		s.Stop()
		return nil, fmt.Errorf("natsd: %s", *why)
	}
	if !ns.ReadyForConnections(10*time.Second) || !ns.JetStreamEnabled() {
		s.Stop()
		return nil, errors.New("natsd: server did not get ready; see its log")
	}
	return s, nil
}

// ClientOption makes a client connect inside the process, past TCP and TLS.
func (s *Server) ClientOption() nats.Option { return nats.InProcessServer(s.ns) }

// URL is where clients connect over TCP; empty without a port.
func (s *Server) URL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// Stop ends the server and waits until its files are closed. It may be called
// again.
func (s *Server) Stop() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
	s.removeTemp()
}

func (s *Server) removeTemp() {
	if s.temp != "" {
		_ = os.RemoveAll(s.temp) // the system clears what is left
	}
}

func nkeyUsers(users []User) []*server.NkeyUser {
	var out []*server.NkeyUser
	for _, u := range users {
		p := &server.Permissions{}
		if len(u.Publish) > 0 {
			p.Publish = &server.SubjectPermission{Allow: u.Publish}
		}
		if len(u.Subscribe) > 0 {
			p.Subscribe = &server.SubjectPermission{Allow: u.Subscribe}
		}
		if u.Replies {
			p.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
		}
		out = append(out, &server.NkeyUser{Nkey: u.NKey, Permissions: p})
	}
	return out
}

// logger passes on what an operator should see. The server's notices are
// about its own start and stop; they are kept for debugging.
type logger struct {
	log   *slog.Logger
	fatal atomic.Pointer[string] // why the server gave up, if it did
}

func (l *logger) say(level slog.Level, f string, v []any) {
	l.log.Log(context.Background(), level, "nats server", "text", fmt.Sprintf(f, v...))
}

func (l *logger) Noticef(f string, v ...any) { l.say(slog.LevelDebug, f, v) }
func (l *logger) Warnf(f string, v ...any)   { l.say(slog.LevelWarn, f, v) }
func (l *logger) Errorf(f string, v ...any)  { l.say(slog.LevelError, f, v) }
func (l *logger) Debugf(string, ...any)      {}
func (l *logger) Tracef(string, ...any)      {}

// Fatalf keeps the reason for Start: a server embedded in a process must not
// end it.
func (l *logger) Fatalf(f string, v ...any) {
	text := fmt.Sprintf(f, v...)
	l.fatal.CompareAndSwap(nil, &text)
	l.say(slog.LevelError, "%s", []any{text})
}
