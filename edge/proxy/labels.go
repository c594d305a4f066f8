package proxy

import (
	"slices"
	"strings"

	"tollgate/edge/admit"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// Headers by which a request says whom it is charged to. Like all that begin with ownHeader, they are
// for the gateway and go no further.
const (
	ownHeader      = "x-tollgate-"
	HeaderCustomer = "X-Tollgate-Customer"
	HeaderTags     = "X-Tollgate-Tags"
)

// labels is whom a request is charged to besides its key.
type labels struct {
	customer string
	tags     []string // sorted, each once
}

// read adds what the headers name to what the key says, further ones that may name a customer included. It allocates nothing where
// they name nothing.
func (l *labels) read(headers []Header, key *admit.Key, further []string) error {
	l.begin(key)
	for i := range headers {
		h := &headers[i]
		var err error
		switch {
		case strings.EqualFold(h.Name, HeaderCustomer):
			err = l.nameCustomer(HeaderCustomer, strings.Trim(h.Value, " \t"), key)
		case strings.EqualFold(h.Name, HeaderTags):
			err = l.nameTags(h.Value, key)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range further {
		if l.customer != key.Customer {
			return nil // the first that names one says it
		}
		for i := range headers {
			if h := &headers[i]; strings.EqualFold(h.Name, name) {
				if err := l.nameCustomer(name, strings.Trim(h.Value, " \t"), key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// begin takes what the key says.
func (l *labels) begin(key *admit.Key) {
	l.customer, l.tags = key.Customer, key.Tags
	if !slices.IsSorted(l.tags) {
		l.tags = slices.Sorted(slices.Values(l.tags))
	}
}

// namesSomebody says whether headers name a customer or tags.
func namesSomebody(headers []Header) bool {
	return slices.ContainsFunc(headers, func(h Header) bool {
		return (strings.EqualFold(h.Name, HeaderCustomer) || strings.EqualFold(h.Name, HeaderTags)) && strings.Trim(h.Value, " \t,") != ""
	})
}

// nameCustomer takes the name that a request has in a place of its own.
func (l *labels) nameCustomer(place, name string, key *admit.Key) error {
	switch {
	case name == "" || name == l.customer:
		return nil
	case !contract.ValidLabel(name):
		return invalidLabel(place, name)
	case key.Customer != "":
		return fault.New(fault.LabelInvalid, "Key %s is charged to customer %s and can't name another one.", key.Name, key.Customer).
			WithHint("Leave out %s, or use a key without a customer.", place)
	case l.customer != "":
		return fault.New(fault.LabelInvalid, "The request names two customers in %s.", place).
			WithHint("Send %s once, with one name.", place)
	}
	l.customer = name
	return nil
}

func (l *labels) nameTags(list string, key *admit.Key) error {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.Trim(name, " \t"); name == "" {
			continue
		}
		if !contract.ValidLabel(name) {
			return invalidLabel(HeaderTags, name)
		}
		at, found := slices.BinarySearch(l.tags, name)
		if found {
			continue
		}
		if len(l.tags) >= contract.MaxTags {
			return fault.New(fault.LabelInvalid, "The request has more than %d tags, those of key %s included.", contract.MaxTags, key.Name).
				WithHint("Name fewer tags in " + HeaderTags + ".")
		}
		l.tags = slices.Insert(slices.Clip(l.tags), at, name) // the key's own are not to be changed
	}
	return nil
}

func invalidLabel(place, name string) error {
	return fault.New(fault.LabelInvalid, "%s has a name that can't be one: %.60q.", place, name)
}
