package pricebook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var dateForm = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

// skips collects what was left out. Rows with the same reason are told together, because there may be hundreds.
type skips struct {
	reasons []string
	rows    map[string][]string
}

func (s *skips) add(row, reason string, args ...any) {
	reason = fmt.Sprintf(reason, args...)
	if s.rows == nil {
		s.rows = map[string][]string{}
	}
	if _, ok := s.rows[reason]; !ok {
		s.reasons = append(s.reasons, reason)
	}
	s.rows[reason] = append(s.rows[reason], row)
}

// lines are in the order of reasons; each names a few rows and counts the rest.
func (s *skips) lines() (out []string) {
	const most = 5
	slices.Sort(s.reasons)
	for _, reason := range s.reasons {
		rows := s.rows[reason]
		slices.Sort(rows)
		rows = slices.Compact(rows)
		names := make([]string, 0, most)
		for _, row := range rows[:min(most, len(rows))] {
			names = append(names, clip(row))
		}
		line := reason + ": " + strings.Join(names, ", ")
		if more := len(rows) - most; more > 0 {
			line += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, line)
	}
	return out
}
