package spool

import "slices"

// Joined are the partitions of the ledger of which something is in this spool, in ascending order.
func (s *Spool) Joined() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []uint32
	for _, in := range s.all() {
		for _, p := range in.parts {
			parts = append(parts, p.part)
		}
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}
