package meter

import (
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/meter/frame"
)

// looks are the paths that a meter asks for in the frames of one side. A document is gone through once for all of them.
type looks struct {
	paths []string
	uses  []uses
	known map[string]int
	top   look
	keep  *frame.Paths
	asks  []ask // what counters ask for
	slots []int // of the paths, in the order in which keep has them
}

// uses are how many sources ask for a path, and how many of these want no more than the number of elements that are there,
// or the length of texts. What only such want is not kept, so that it may be of any size.
type uses struct{ all, counted, measured int }

// use notes for what a counter asks for a path.
func (l *looks) use(slot int, how aggregate) {
	switch u := &l.uses[slot]; how {
	case howMany:
		u.counted++
	case length:
		u.measured++
	case last, first, total, largest:
	}
}

// look is a place that paths lead to or through.
type look struct {
	name string
	slot int    // where its value goes; -1 if it is not asked for
	kids []look // of an object
	subs []sub  // the rest of paths that are more than names, which gjson finds
}

type sub struct {
	path string
	slot int
}

// plainName is the beginning of a path that is a name and nothing else.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*(\.|$)`)

// index is where the value of a path will be.
func (l *looks) index(path string) int {
	if i, ok := l.known[path]; ok {
		l.uses[i].all++
		return i
	}
	if l.known == nil {
		l.known = map[string]int{}
		l.top.slot = -1
	}
	slot := len(l.paths)
	l.known[path] = slot
	l.paths = append(l.paths, path)
	l.uses = append(l.uses, uses{all: 1})
	at := &l.top
	for rest := path; ; {
		name := plainName.FindString(rest)
		if name == "" {
			at.subs = append(at.subs, sub{rest, slot})
			return slot
		}
		rest = rest[len(name):]
		at = at.kid(strings.TrimSuffix(name, "."))
		if rest == "" {
			at.slot = slot
			return slot
		}
	}
}

func (k *look) kid(name string) *look {
	for i := range k.kids {
		if k.kids[i].name == name {
			return &k.kids[i]
		}
	}
	k.kids = append(k.kids, look{name: name, slot: -1})
	return &k.kids[len(k.kids)-1]
}

// read fills in the values of a document, of which there are none before. It says whether any is there.
func (l *looks) read(doc string, into []gjson.Result) (found bool) {
	w := walk{doc: doc, into: into}
	w.value(&l.top)
	return w.found
}

// empty says that nothing is asked for.
func (l *looks) empty() bool { return len(l.paths) == 0 }

// finish asks frames for the paths. lengths says of which of them a number is told in place of each text.
func (l *looks) finish() (lengths []bool) {
	lengths = make([]bool, len(l.paths))
	for i, u := range l.uses {
		lengths[i] = u.measured == u.all && l.apart(i)
	}
	var values, counted, measured []string
	for i, path := range l.paths {
		switch u := l.uses[i]; {
		case lengths[i]:
			measured = append(measured, path)
		case u.counted == u.all:
			counted = append(counted, path)
		default:
			values = append(values, path)
		}
	}
	l.keep, _ = frame.NewPaths(values...) // each has been checked
	_ = l.keep.Counts(counted...)
	_ = l.keep.Lengths(measured...)
	l.slots = nil
	for _, paths := range [...][]string{values, counted, measured} {
		for _, path := range paths {
			l.slots = append(l.slots, l.known[path])
		}
	}
	return lengths
}

// apart says whether nothing but lengths is asked for below the field that a path begins with. Elsewhere a number may be
// one that the frame has.
func (l *looks) apart(slot int) bool {
	field := func(path string) string { return path[:strings.IndexAny(path+".", ".#")] }
	mine := field(l.paths[slot])
	for i, path := range l.paths {
		if field(path) == mine && (l.uses[i].measured < l.uses[i].all || strings.Contains(path, "(")) {
			return false
		}
	}
	return true
}

// pathReason says why a path is none; empty if it is one.
func pathReason(path string) string {
	if strings.TrimSpace(path) == "" {
		return "a path is missing"
	}
	if _, err := frame.NewPaths(path); err != nil {
		return err.Error()
	}
	return ""
}
