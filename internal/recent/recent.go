// Package recent remembers what was used lately, in memory that does not grow: a map of two generations,
// of which the older is dropped when the younger is full. It promises that what is used again before as many
// others as a generation holds stays, and is for hints that can be lost without harm, not for facts.
package recent

// Map remembers values by key. It is not safe for concurrent use. Make it with New.
type Map[K comparable, V any] struct {
	most       int
	young, old map[K]V
}

// New makes a map whose generations hold at most so many values each.
func New[K comparable, V any](most int) *Map[K, V] {
	return &Map[K, V]{most: most, young: map[K]V{}}
}

// Get is the value of a key, which counts as used.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	if v, ok = m.young[k]; ok {
		return v, true
	}
	if v, ok = m.old[k]; ok {
		m.Put(k, v)
	}
	return v, ok
}

// Put remembers a value.
func (m *Map[K, V]) Put(k K, v V) {
	if _, there := m.young[k]; !there && len(m.young) >= m.most {
		m.young, m.old = map[K]V{}, m.young
	}
	m.young[k] = v
}

// Len is how many values are remembered, of which some may be so twice.
func (m *Map[K, V]) Len() int { return len(m.young) + len(m.old) }
