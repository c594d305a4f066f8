// Package spool is an edge's record on disk of what it admitted and what that cost. It promises that
// an intent that was acknowledged ends in exactly one event with the next sequence number, through
// kill -9 and full disks, and that the events reach the ledger in order until it has booked them, also by
// a database that was restored meanwhile: what is booked is kept until the ledger tells so once more after
// the linger. It does not survive the loss of the machine, and it decides nothing about money.
package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tollgate/internal/contract"
)

// Options are what a spool needs to know. Zero values take the defaults.
type Options struct {
	Dir          string        // holds one directory per incarnation; made if missing
	Storage      Storage       // default Mapped(Dir)
	Edge         string        // name of the edge
	SegmentBytes int64         // size at which a new segment begins; default 64 MiB
	MaxBytes     int64         // of all incarnations together; default 4 GiB
	Linger       time.Duration // how long booked events are kept; default 10 min
	Log          *slog.Logger
	Now          func() time.Time // default time.Now
	Random       func() int64     // default math/rand; for the number of the incarnation
}

const (
	defaultSegmentBytes = 64 << 20
	defaultMaxBytes     = 4 << 30
	leastSegmentBytes   = 16 << 10
	// DefaultLinger is long enough for a database to fail over and to ask again for what it lost.
	DefaultLinger = 10 * time.Minute
)

func (o *Options) complete() error {
	if !contract.ValidEdgeName(o.Edge) {
		return fmt.Errorf("spool: %q cannot be the name of an edge", o.Edge)
	}
	if o.Storage == nil {
		if o.Dir == "" {
			return errors.New("spool: no directory")
		}
		o.Storage = Mapped(o.Dir)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	// With fewer than four segments a full one could hardly ever be given back.
	o.SegmentBytes = align(max(min(o.SegmentBytes, o.MaxBytes/4), leastSegmentBytes))
	if o.Linger <= 0 {
		o.Linger = DefaultLinger
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Int64
	}
	return nil
}

// Spool is the log of one incarnation, and of older ones that are not booked yet.
type Spool struct {
	Options Options
	log     *slog.Logger
	storage Storage
	unlock  func() error

	wakeAhead chan struct{} // memory or a segment is to be prepared
	wakeLanes chan struct{} // there is another lane

	// mu guards all below: the order of records on disk, the sequence numbers, what they reserve,
	// and how far each incarnation is published and booked. Files are read without it.
	mu     sync.Mutex
	live   *incarnation
	old    []*incarnation // oldest first
	broken []string       // directories of incarnations that could not be recovered so far
	lanes  []*lane        // none is ever removed
	used   int64          // of MaxBytes
	ended  bool           // no more intents: CLOSE is written or about to be
	closed bool

	refusing  bool // the last intent was refused by the disk
	preparing bool // the next segment is being made
	spare     File // the next segment, if it is made
	slots     []*slot
	free      []uint32
	nextN     uint64
	// What unsettled intents may still write: here to the current segment, all to a new one.
	reservedHere, reservedAll int64
	parked                    []uint32 // slots of settlements that the disk refused, in order
	failure                   error    // of the newest of these attempts
}

// Open begins a new incarnation and recovers those that ended without being booked.
func Open(o Options) (*Spool, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	unlock, err := o.Storage.Lock()
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := &Spool{
		Options: o, log: o.Log, storage: o.Storage, unlock: unlock,
		wakeAhead: make(chan struct{}, 1), wakeLanes: make(chan struct{}, 1),
	}
	if err := s.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("spool: %w", err), s.Close())
	}
	return s, nil
}

func (s *Spool) begin() error {
	found, err := s.incarnations()
	if err != nil {
		return err
	}
	var newest int64
	for _, dir := range found {
		newest, _ = incOf(dir)
		s.recoverOne(dir)
	}
	s.live, err = s.incarnate(newest)
	return err
}

// incarnations lists the directories of those on disk, oldest first, and clears away what was about to be
// removed.
func (s *Spool) incarnations() ([]string, error) {
	names, err := s.storage.List("")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range names {
		if strings.HasSuffix(name, goneSuffix) {
			if err := s.storage.Remove(name); err != nil {
				s.log.Warn("spool directory is not removed", "dir", name, "error", err)
			}
			continue
		}
		if _, ok := incOf(name); ok {
			found = append(found, name)
		}
	}
	slices.SortFunc(found, func(a, b string) int {
		x, _ := incOf(a)
		y, _ := incOf(b)
		return cmp.Compare(x, y)
	})
	return found, nil
}

// dirSuffix ends the name of the directory of an incarnation behind its number. A release that knows only
// format 1 passes over such a directory until a newer one is back: it reads those whose names are numbers,
// and would take what it does not understand for remains of a crash.
const dirSuffix = ".v2"

// incOf is the number of the incarnation that a directory belongs to. In format 1 that is its name.
func incOf(dir string) (inc int64, ok bool) {
	number := strings.TrimSuffix(dir, dirSuffix)
	inc, err := strconv.ParseInt(number, 10, 64)
	return inc, err == nil && inc > 0 && strconv.FormatInt(inc, 10) == number
}

// incRandomBits keeps two processes of the same millisecond apart.
const incRandomBits = 20

// incarnate takes a number beyond newest, whatever the clock says. Its first segment is made with its
// first record, so that an edge with a full disk can start and drain what fills it.
func (s *Spool) incarnate(newest int64) (*incarnation, error) {
	for {
		inc := max(s.Options.Now().UnixMilli()<<incRandomBits|s.Options.Random()&(1<<incRandomBits-1), newest+1)
		in := newIncarnation(inc)
		err := s.storage.Mkdir(in.dir)
		if err == nil {
			return in, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		newest = inc
	}
}

// Close ends the use of the files. What was not settled is settled at the next Open.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	errs := []error{s.dropSpare()}
	for _, in := range s.all() {
		errs = append(errs, in.closeFiles())
	}
	if s.live != nil && len(s.live.segs) == 0 { // nothing was recorded, so that nobody waits for its end
		errs = append(errs, s.storage.Remove(s.live.dir))
	}
	return errors.Join(append(errs, s.unlock())...)
}

// Inc is the number of this incarnation.
func (s *Spool) Inc() int64 { return s.live.inc }

// all is every incarnation, oldest first.
func (s *Spool) all() []*incarnation {
	if s.live == nil {
		return s.old
	}
	return append(slices.Clip(s.old), s.live)
}

// Err is why no intent can be recorded at present, or nil.
func (s *Spool) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parked) > 0 {
		return s.failure
	}
	return nil
}

// UsedPercent is how much of the space that it may take is used.
func (s *Spool) UsedPercent() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint32(min(max(s.used, 0)*100/s.Options.MaxBytes, 100))
}

// Depth is how many events are settled and not booked, of all incarnations and partitions, and the age
// of the oldest.
func (s *Spool) Depth() (events int64, oldest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events = int64(len(s.parked))
	for _, in := range s.all() {
		for pi, p := range in.parts {
			n := int64(p.lastSeq - p.hwm)
			if events += n; n == 0 || s.closed {
				continue
			}
			if at := s.settledAt(in, int32(pi), max(p.hwm, p.base)+1); !at.IsZero() {
				oldest = max(oldest, s.Options.Now().Sub(at))
			}
		}
	}
	return events, oldest
}
