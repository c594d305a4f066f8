package ledgerlink

import "time"

// SetIdle makes a link tell of spools that often. It comes before Run.
func (l *Link) SetIdle(d time.Duration) { l.idle = d }
