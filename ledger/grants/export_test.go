package grants

// Waiting is how many requests wait for a transaction.
func (s *Server) Waiting() int { return len(s.queue) }
