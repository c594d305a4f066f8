package proxy

import "time"

// silence ends an answer in which nothing comes for too long. The zero value never does.
type silence struct {
	timer *time.Timer
	most  time.Duration
}

// silenceOf begins to measure. end is called when nothing has come for the longest time that may be.
func silenceOf(most time.Duration, end func()) silence {
	return silence{time.AfterFunc(most, end), most}
}

// listen begins to measure the silence of an answer's body.
func (t *try) listen() silence {
	a, most := t.answer, t.idle()
	if most <= 0 || a.Cancel == nil {
		return silence{}
	}
	t.timed = true
	return silenceOf(most, func() { t.cancelAnswer(errStreamIdle) })
}

// stop measures no more, until again does.
func (s silence) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// again begins the time anew: something has come.
func (s silence) again() {
	if s.timer != nil {
		s.timer.Reset(s.most)
	}
}
