package meter

import (
	"slices"

	"tollgate/internal/meter/frame"
)

// Slowly makes a plan read no frame at a glance: one path that is nowhere wants more than a plain value.
func Slowly(p *Plan) *Plan {
	for _, m := range p.meters {
		if slices.ContainsFunc(m.counters, func(c counter) bool { return c.how == length }) {
			continue // what these have in place of a text is another number then
		}
		for _, l := range [...]*looks{&m.frames, &m.messages} {
			var values []string
			values = append(append(values, l.paths...), "nowhere.at.all.#")
			if l.keep != nil {
				l.keep, _ = frame.NewPaths(values...)
			}
		}
	}
	return p
}
