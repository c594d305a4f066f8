package registry

import "slices"

// Lists are those of the price book that the price refers to.
func (p *Price) Lists() (lists []string) {
	if p.Metered == nil {
		return nil
	}
	for _, m := range p.Metered.Message.GetMeters() {
		if m.GetBook() != "" {
			lists = append(lists, m.GetBook())
		}
	}
	slices.Sort(lists)
	return slices.Compact(lists)
}
