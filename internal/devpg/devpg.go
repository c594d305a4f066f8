// Package devpg runs a private PostgreSQL server as a child of this process:
// for the all-in-one process and for tests. It listens on a free port of
// 127.0.0.1 behind a random password, keeps its data in one directory from one
// start to the next, works for root and for ordinary users, and goes down with
// its parent, however that ends.
//
// It downloads nothing and is not for production: nobody backs this database
// up, and an operator's settings have no place here.
package devpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/internal/lifecycle"
)

const (
	superuser = "tollgate"
	// stopWithin is generous: a shutdown writes what is dirty to disk.
	stopWithin = 20 * time.Second
	// orphansWithin is how long backends may take to notice that their server is gone.
	orphansWithin = 10 * time.Second
)

// ErrInUse means that a living process runs a server on the directory.
var ErrInUse = errors.New("another process runs a server on this directory")

// Options say what to run and where. Dir is required.
type Options struct {
	// Dir holds the data. Where the account that has to run the server cannot
	// reach it, a directory derived from its path is used under the system's
	// temporary one; Server.Dir says which.
	Dir string

	// BinDirHint is the folder of PostgreSQL's programs, instead of looking
	// for one; empty for $PG_BIN, and if that is unset too, for looking.
	BinDirHint string

	// SearchRoots are projects under which programs from tools/pg may be
	// installed; empty for the working directory and the folders above it.
	SearchRoots []string

	// Port to listen on, for clients that must find it again after a restart;
	// 0 for a free one.
	Port int

	// Fsync makes commits survive a crash of the machine. Tests go without.
	Fsync bool

	// Disposable allows to start over where the data is of another version
	// or does not come up, as after a crash without Fsync.
	Disposable bool

	Log *slog.Logger // nil for none
}

// Server is a running server. End it with Stop.
type Server struct {
	dir      string
	port     int
	password string
	proc     *process
	unlock   func()
	log      *slog.Logger
	group    lifecycle.Group
}

// Start returns once the server accepts connections. ctx bounds the start
// only. Where another process already has Dir it fails with ErrInUse; a server
// left by a parent that is gone is stopped first.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("devpg: no directory")
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{log: log}
	if err := s.start(ctx, o); err != nil {
		if s.unlock != nil {
			s.unlock()
		}
		return nil, fmt.Errorf("devpg: %w", err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, o Options) error {
	who, err := runAs()
	if err != nil {
		return err
	}
	if s.dir, err = place(o.Dir, who); err != nil {
		return err
	}
	if s.dir != filepath.Clean(o.Dir) {
		s.log.Debug("database directory moved", "wanted", o.Dir, "used", s.dir)
	}
	if s.unlock, err = lockFile(filepath.Join(s.dir, "lock")); err != nil {
		return err
	}
	bin, err := choose(o, s.dir, who)
	if err != nil {
		return err
	}
	if s.password, err = password(s.dir, who); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	if err := s.clearStale(ctx, data); err != nil {
		return err
	}
	if dataVersion(s.dir) == bin.major {
		err := s.launchSomewhere(ctx, bin, data, who, o)
		if err == nil || !o.Disposable || ctx.Err() != nil {
			return err
		}
		s.log.Warn("starting over with an empty database", "dir", s.dir, "err", err)
	}
	if err := initdb(ctx, bin, s.dir, who); err != nil {
		return err
	}
	return s.launchSomewhere(ctx, bin, data, who, o)
}

// launchSomewhere allows for a free port being taken before the server binds it, and for backends
// that have not noticed yet that their server was killed.
func (s *Server) launchSomewhere(ctx context.Context, bin binaries, data string, who *account, o Options) error {
	orphansGone := time.Now().Add(orphansWithin)
	for attempt := 1; ; attempt++ {
		err := s.launch(ctx, bin, data, who, o)
		switch {
		case errors.Is(err, errOrphans) && time.Now().Before(orphansGone):
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		case errors.Is(err, errPortTaken) && o.Port == 0 && attempt < 3:
		default:
			return err
		}
	}
}

// Dir is where the data is, which is not always where Options wanted it.
func (s *Server) Dir() string { return s.dir }

// URL is the address of a database on this server, which need not exist yet.
// It contains the password.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, s.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Done is closed when the server has ended, whether stopped or by itself.
func (s *Server) Done() <-chan struct{} { return s.proc.done }

// Stop disconnects all clients, shuts the server down and waits for it. It
// may be called again.
func (s *Server) Stop() error {
	err := s.proc.stop(stopWithin)
	s.group.Stop()
	s.unlock()
	if err != nil {
		return fmt.Errorf("devpg: %w", err)
	}
	return nil
}

var (
	errPortTaken = errors.New("port was taken")
	errOrphans   = errors.New("backends of a server that was killed still run")
)

// launch starts the server and waits until it answers.
func (s *Server) launch(ctx context.Context, bin binaries, data string, who *account, o Options) error {
	port := o.Port
	if port == 0 {
		var err error
		if port, err = freePort(); err != nil {
			return err
		}
	}
	s.port = port
	args := []string{"-D", data}
	for _, set := range settings(port, o.Fsync) {
		args = append(args, "-c", set)
	}
	logPath := filepath.Join(s.dir, "server.log")
	var err error
	s.proc, err = startProcess(&s.group, filepath.Join(bin.dir, "postgres"), args, s.dir, logPath, who)
	if err != nil {
		return err
	}
	if err := s.await(ctx); err != nil {
		_ = s.proc.stop(stopWithin)
		text := tail(logPath)
		if strings.Contains(text, "could not bind IPv4") || strings.Contains(text, "Address already in use") {
			return errPortTaken
		}
		if strings.Contains(text, "pre-existing shared memory block") {
			return fmt.Errorf("%w; its log ends with:\n%s", errOrphans, text)
		}
		return fmt.Errorf("%w; its log ends with:\n%s", err, text)
	}
	s.log.Info("private database started", "version", bin.version, "dir", s.dir, "port", port)
	return nil
}

func settings(port int, fsync bool) []string {
	set := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=", // their paths may be too long, or not writable
		"max_connections=300",      // parallel tests, each with a pool
		"timezone=UTC",
		"log_timezone=UTC",
		"logging_collector=off",
		"log_min_messages=warning",
		"log_min_error_statement=panic", // clients report their errors themselves
	}
	if !fsync {
		set = append(set, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=4GB")
	}
	return set
}

// await polls: the server has no way of telling that it is ready which works
// for every version and without its own tools.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := s.ping(ctx); err == nil {
			return nil
		}
		select {
		case <-s.proc.done:
			return fmt.Errorf("server ended while starting: %w", s.proc.failure())
		case <-ctx.Done():
			return fmt.Errorf("server does not answer: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// ping connects with the directory's own password and returns the directory
// that the server on the port serves.
func (s *Server) ping(ctx context.Context) (data string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, `SHOW data_directory`).Scan(&data)
	return data, err
}

func freePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("unexpected address %s", l.Addr())
	}
	return addr.Port, nil
}

// password reads the directory's password, or makes one. It is in a file so
// that the next start, and psql by hand, can use the same data.
func password(dir string, who *account) (string, error) {
	path := filepath.Join(dir, "password")
	raw, err := os.ReadFile(path)
	if err == nil && len(raw) > 0 {
		return strings.TrimSpace(string(raw)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	text := rand.Text()
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		return "", err
	}
	return text, who.own(path)
}

// tail is the end of the server's log, for errors.
func tail(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
