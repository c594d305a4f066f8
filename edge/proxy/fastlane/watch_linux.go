package fastlane

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// watch tells connections that their callers have closed them, also while nobody reads. It is one instance of epoll for all of a
// server, to which a connection is added once, so that it costs nothing per request: only the end of a connection makes an event.
type watch struct {
	file *os.File // the instance, which the runtime waits for like for a socket
	raw  syscall.RawConn
	done chan struct{}

	mu    sync.Mutex // guards what follows
	last  uint64
	conns map[uint64]*conn // by what their events say
}

// What epoll is asked for, and says without being asked.
const (
	ended    = syscall.EPOLLRDHUP
	edgeOnly = 1 << 31 // syscall.EPOLLET, which is negative there
	broken   = syscall.EPOLLERR | syscall.EPOLLHUP
)

func newWatch() (*watch, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // else the runtime would not wait for it
		return nil, errors.Join(fmt.Errorf("epoll: %w", err), syscall.Close(fd))
	}
	w := &watch{file: os.NewFile(uintptr(fd), "epoll"), done: make(chan struct{}), conns: map[uint64]*conn{}}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("epoll: %w", err), w.file.Close())
	}
	go w.run()
	return w, nil
}

// close ends it and returns when no connection is told anything any more.
func (w *watch) close() {
	if w == nil {
		return
	}
	_ = w.file.Close() // nothing is to be done about it
	<-w.done
}

// add has a connection told of its end. The returned number is for remove.
func (w *watch) add(c *conn, raw syscall.RawConn) (uint64, error) {
	w.mu.Lock()
	w.last++
	number := w.last
	w.conns[number] = c
	w.mu.Unlock()
	event := syscall.EpollEvent{Events: ended | edgeOnly}
	setNumber(&event, number)
	err := w.control(raw, syscall.EPOLL_CTL_ADD, &event)
	if err != nil {
		w.forget(number)
	}
	return number, err
}

// remove is for a connection that goes on elsewhere. One that is closed is only to be forgotten: the system has removed it.
func (w *watch) remove(number uint64, raw syscall.RawConn) error {
	w.forget(number)
	return w.control(raw, syscall.EPOLL_CTL_DEL, &syscall.EpollEvent{})
}

func (w *watch) forget(number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, number)
}

func (w *watch) control(raw syscall.RawConn, op int, event *syscall.EpollEvent) error {
	var closed, failed error
	over := w.raw.Control(func(instance uintptr) {
		closed = raw.Control(func(fd uintptr) {
			failed = syscall.EpollCtl(int(instance), op, int(fd), event)
		})
	})
	if err := errors.Join(over, closed, failed); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// The number of a connection is what the system gives back with its events.
func setNumber(e *syscall.EpollEvent, number uint64) {
	e.Fd, e.Pad = int32(number), int32(number>>32)
}

func numberOf(e *syscall.EpollEvent) uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }

func (w *watch) run() {
	defer close(w.done)
	events := make([]syscall.EpollEvent, 128)
	n := 0
	wait := func(fd uintptr) bool {
		var err error
		if n, err = syscall.EpollWait(int(fd), events, 0); err != nil {
			n = 0
		}
		return n > 0
	}
	for w.raw.Read(wait) == nil {
		for i := range events[:n] {
			w.mu.Lock()
			c := w.conns[numberOf(&events[i])]
			w.mu.Unlock()
			if c != nil {
				c.caller.left(events[i].Events&broken != 0)
			}
		}
	}
}

// peek copies what can be read of a connection into p, where it stays. It waits for nobody: without anything to read and without
// an end there is an error.
func peek(raw syscall.RawConn, p []byte) (n int, err error) {
	gone := raw.Control(func(fd uintptr) {
		n, _, err = syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return n, errors.Join(gone, err)
}
