package routing

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Snapshot is a snapshot of the configuration, read so far that it shows what of it has changed since the one before: each endpoint,
// account and limit is still encoded. Of a thousand endpoints a change is mostly of one, and only that one is decoded and
// compiled again.
type Snapshot struct {
	endpoints, accounts, limits []string
	common                      string // what endpoints are compiled with: price book, models, adapters, and what this version does not know
	customers                   string
	rest                        *eventv1.RouteSnapshot
}

// Fields of eventv1.RouteSnapshot.
const (
	fieldEndpoints = 1
	fieldAccounts  = 2
	fieldSecrets   = 3
	fieldLimits    = 4
	fieldCustomers = 8
)

// Read reads an encoded eventv1.RouteSnapshot. It keeps nothing of wire.
func Read(wire []byte) (*Snapshot, error) {
	s := &Snapshot{rest: &eventv1.RouteSnapshot{}}
	text := string(wire)
	var common, rest []byte
	for at := 0; at < len(wire); {
		num, kind, tag := protowire.ConsumeTag(wire[at:])
		if tag < 0 {
			return nil, protowire.ParseError(tag)
		}
		size := protowire.ConsumeFieldValue(num, kind, wire[at+tag:])
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		end := at + tag + size
		switch list := s.list(num); {
		case list != nil && kind == protowire.BytesType:
			_, head := protowire.ConsumeVarint(wire[at+tag:])
			*list = append(*list, text[at+tag+head:end])
		case num == fieldSecrets:
			rest = append(rest, wire[at:end]...)
		case num == fieldCustomers:
			rest, s.customers = append(rest, wire[at:end]...), s.customers+text[at:end]
		default:
			common = append(common, wire[at:end]...)
		}
		at = end
	}
	s.common = string(common)
	if err := proto.Unmarshal(append(rest, common...), s.rest); err != nil {
		return nil, err
	}
	return s, nil
}

// list is where what is in a field stays encoded; nil for another field.
func (s *Snapshot) list(num protowire.Number) *[]string {
	switch num {
	case fieldEndpoints:
		return &s.endpoints
	case fieldAccounts:
		return &s.accounts
	case fieldLimits:
		return &s.limits
	default:
		return nil
	}
}

// Secrets are the secrets that endpoints refer to, sealed.
func (s *Snapshot) Secrets() []*eventv1.SealedSecret { return s.rest.GetSecrets() }

// source is what a table was made of, so that the next one can take over what has not changed.
type source struct {
	common, customers string
	secrets           [32]byte
	endpoints         parts[compiled]
	bounds            *bounds

	// What the models and adapters have added.
	upstreams, destinations []*Endpoint
	missing                 []string
}

// compiled is an endpoint, and which environment variables it lacks.
type compiled struct {
	*Endpoint

	missing []string
}

// parts are what was made of the messages of a list.
type parts[T any] struct {
	texts []string // the messages as they were encoded
	made  []T
}

// finder finds what was made of a message before. Where few messages have changed, most are as far from the beginning or from the end of
// their list as they were.
type finder[T any] struct {
	before parts[T]
	behind int            // by how much the list before is longer
	at     map[string]int // in before, of all; made when it is needed
}

func (p parts[T]) finder(next int) finder[T] {
	return finder[T]{before: p, behind: len(p.texts) - next}
}

// find looks for the message that is number i of the new list.
func (f *finder[T]) find(i int, text string) (made T, ok bool) {
	for _, at := range [2]int{i, i + f.behind} {
		if at >= 0 && at < len(f.before.texts) && f.before.texts[at] == text {
			return f.before.made[at], true
		}
	}
	if f.at == nil {
		f.at = make(map[string]int, len(f.before.texts))
		for at, text := range f.before.texts {
			f.at[text] = at
		}
	}
	at, ok := f.at[text]
	if ok {
		made = f.before.made[at]
	}
	return made, ok
}

// fits says whether endpoints of the table before may be taken over. Its secrets had the same values, which need not mean that
// they are sealed in the same way.
func (s *source) fits(next *Snapshot, l *Lookups) bool {
	return s != nil && s.common == next.common && s.secrets == l.Secrets
}

// known is the accounts and limits that there were.
func (s *source) known() *bounds {
	if s == nil {
		return &bounds{}
	}
	return s.bounds
}

// withBounds is the endpoint with what bounds it now: the same one where that is the same.
func (e *Endpoint) withBounds(b Bounds) *Endpoint {
	if e.Free {
		b.Accounts = nil
	}
	if slices.Equal(e.Accounts, b.Accounts) && slices.Equal(e.Limits, b.Limits) {
		return e
	}
	next := *e
	next.Accounts, next.Limits = b.Accounts, b.Limits
	return &next
}

// endpointOf decodes and compiles an endpoint. missing is the environment variables that it lacks.
func (c *compiler) endpointOf(text string) (e *Endpoint, missing []string, err error) {
	from := &eventv1.RouteEndpoint{}
	if err := proto.Unmarshal([]byte(text), from); err != nil {
		return nil, nil, err
	}
	if e, err = c.endpoint(from); err != nil {
		return nil, nil, fmt.Errorf("endpoint %q: %w", from.GetName(), err)
	}
	return e, c.takeMissing(), nil
}
