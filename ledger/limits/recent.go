package limits

// recent is a map that knows in which order its keys were last touched. The zero value is empty.
type recent[V any] struct {
	nodes map[int64]*node[V]
	first *node[V] // touched longest ago
	last  *node[V]
}

type node[V any] struct {
	key        int64
	at         int64
	value      V
	prev, next *node[V]
}

func (r *recent[V]) len() int { return len(r.nodes) }

// get is the value of a key, or nil.
func (r *recent[V]) get(key int64) *V {
	if n := r.nodes[key]; n != nil {
		return &n.value
	}
	return nil
}

// touch makes a key the last one touched. It is new if it was not there.
func (r *recent[V]) touch(key, at int64) *V {
	n := r.nodes[key]
	if n == nil {
		n = &node[V]{key: key}
		if r.nodes == nil {
			r.nodes = map[int64]*node[V]{}
		}
		r.nodes[key] = n
	} else {
		r.unlink(n)
	}
	n.at = at
	if n.prev = r.last; n.prev == nil {
		r.first = n
	} else {
		n.prev.next = n
	}
	r.last = n
	return &n.value
}

// oldest is the one touched longest ago.
func (r *recent[V]) oldest() (key int64, value V, at int64, ok bool) {
	if r.first == nil {
		return 0, value, 0, false
	}
	return r.first.key, r.first.value, r.first.at, true
}

func (r *recent[V]) drop(key int64) {
	if n := r.nodes[key]; n != nil {
		r.unlink(n)
		delete(r.nodes, key)
	}
}

func (r *recent[V]) unlink(n *node[V]) {
	if n.prev == nil {
		r.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		r.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next = nil, nil
}

// each goes from the one touched longest ago to the last, until f returns false.
func (r *recent[V]) each(f func(key int64, value *V) bool) {
	for n := r.first; n != nil; n = n.next {
		if !f(n.key, &n.value) {
			return
		}
	}
}
