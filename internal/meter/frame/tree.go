package frame

import (
	"slices"

	"github.com/tidwall/gjson"
)

// want is what of a value is wanted.
type want uint8

const (
	asValue  want = iota
	asScalar      // unless it is an object or an array
	asCount
	asLength
)

// node is a place in frames that paths lead to or through. Nothing is kept of places without one.
type node struct {
	name string
	key  []byte // `"name":`, ready to be written
	// place is where the node stands among the kids of its parent.
	place int

	whole  bool // it is kept as it is, with all that is in it
	scalar bool // it is kept unless it is an object or an array
	count  bool // it is kept as Counts says
	chars  bool // it is kept as Lengths says
	label  bool // it is kept if it is a text, the beginning of it: it may be the kind of an event
	sink   bool // its text is base64 of what is read on its own

	kids []*node // of an object
	lens uint64  // which lengths their names have; most other names need no more than a look at this

	elem  *node // of an array: what is kept of those elements of which anything is
	every bool  // these are all
	index []int // or they are these
	last  int   // the greatest of index

	path  int  // the number of the path that ends here, from 1; 0 if none does
	twice bool // two do
}

func (n *node) kid(name string) *node {
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	k := &node{name: name, key: append(gjson.AppendJSONString(nil, name), ':'), place: len(n.kids)}
	n.kids = append(n.kids, k)
	n.lens |= lenBit(len(name))
	return k
}

func lenBit(n int) uint64 { return 1 << min(n, 63) }

// find is the kid of that name; nil if there is none.
func (n *node) find(name []byte) *node {
	if n.lens&lenBit(len(name)) == 0 {
		return nil
	}
	for _, k := range n.kids {
		if k.name == string(name) {
			return k
		}
	}
	return nil
}

func (n *node) element() *node {
	if n.elem == nil {
		n.elem = &node{}
	}
	return n.elem
}

// add makes room for a path. One element's needs are those of all: a little more is kept than is asked for.
func (n *node) add(steps []step, w want) {
	if len(steps) == 0 {
		n.want(w)
		return
	}
	s, rest := steps[0], steps[1:]
	switch s.kind {
	case stepName:
		n.kid(s.name).add(rest, w)
		if s.index >= 0 {
			n.index = append(n.index, s.index)
			n.last = max(n.last, s.index)
			n.element().add(rest, w)
		}
	case stepEach:
		if len(rest) == 0 {
			n.index, n.last = append(n.index, -1), maxDoc // all are counted, none is kept
			return
		}
		n.every = true
		n.element().add(rest, w)
	case stepQuery:
		n.every = true
		how := asCount
		if s.test {
			how = asScalar
		}
		n.element().add(s.cond, how)
		n.element().add(rest, w)
	}
}

func (n *node) want(w want) {
	switch w {
	case asValue:
		n.whole = true
	case asScalar:
		n.scalar = true
	case asCount:
		n.count = true
	case asLength:
		n.chars = true
	}
}

// keeps says whether anything is kept of an element with this index.
func (n *node) keeps(i int) bool {
	return n.every || slices.Contains(n.index, i)
}

// mark notes which path ends at a place that is made of names alone.
func (n *node) mark(steps []step, path int) {
	for _, s := range steps {
		if s.kind != stepName {
			return
		}
		n = n.kid(s.name)
	}
	n.path, n.twice = path, n.path > 0
}

// counts says whether an element with this index has to be there, whatever it is.
func (n *node) counts(i int) bool {
	return n.every || n.count || len(n.index) > 0 && i <= n.last
}

// arrays says whether anything is kept of an array.
func (n *node) arrays() bool { return n.every || n.count || n.chars || len(n.index) > 0 }

// objects says whether anything is kept of an object.
func (n *node) objects() bool { return n.count || len(n.kids) > 0 }

// spread makes of what is wanted of an array of texts what is wanted of each of its elements.
func (n *node) spread() {
	if n.elem != nil {
		n.elem.chars = n.elem.chars || n.chars
		n.elem.spread()
	}
	for _, k := range n.kids {
		k.spread()
	}
}

// wrapping is the node with a kid that is a sink.
func (n *node) wrapping(name string) *node {
	w := *n
	w.kids = append([]*node(nil), n.kids...)
	k := *w.kid(name)
	k.sink = true
	w.kids[k.place] = &k
	return &w
}
