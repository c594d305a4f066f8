package meter

import (
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/meter/frame"
)

// looks are the paths that a meter asks for in the frames of one side. They are asked once a frame, and those below
// the same field together: most events of a stream do not have that field at all.
type looks struct {
	paths []string
	uses  []uses
	known map[string]int
	roots []root
	keep  *frame.Paths
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

type root struct {
	name string
	self bool // the name is a whole path
	slot int
	subs []sub
}

type sub struct {
	path string
	slot int
}

// plainRoot is a field at the beginning of a path.
var plainRoot = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_-]*)\.(.+)$`)

// index is where the value of a path will be.
func (l *looks) index(path string) int {
	if i, ok := l.known[path]; ok {
		l.uses[i].all++
		return i
	}
	if l.known == nil {
		l.known = map[string]int{}
	}
	slot := len(l.paths)
	l.known[path] = slot
	l.paths = append(l.paths, path)
	l.uses = append(l.uses, uses{all: 1})
	m := plainRoot.FindStringSubmatch(path)
	if m == nil {
		l.roots = append(l.roots, root{name: path, self: true, slot: slot})
		return slot
	}
	for i := range l.roots {
		if r := &l.roots[i]; r.name == m[1] && !r.self {
			r.subs = append(r.subs, sub{m[2], slot})
			return slot
		}
	}
	l.roots = append(l.roots, root{name: m[1], subs: []sub{{m[2], slot}}})
	return slot
}

// read fills in the values of a document. It says whether any is there.
func (l *looks) read(doc string, into []gjson.Result) (found bool) {
	for i := range l.roots {
		r := &l.roots[i]
		v := gjson.Get(doc, r.name)
		there := v.Exists() && v.Type != gjson.Null
		if r.self {
			into[r.slot] = v
			found = found || there
			continue
		}
		for _, s := range r.subs {
			if !there {
				into[s.slot] = gjson.Result{}
				continue
			}
			into[s.slot] = gjson.Get(v.Raw, s.path)
			found = true
		}
	}
	return found
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
