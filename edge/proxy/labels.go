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

// read adds what the headers name to what the key says. It allocates nothing where they name nothing.
func (l *labels) read(headers []Header, key *admit.Key) error {
	l.customer, l.tags = key.Customer, key.Tags
	if !slices.IsSorted(l.tags) {
		l.tags = slices.Sorted(slices.Values(l.tags))
	}
	for i := range headers {
		h := &headers[i]
		var err error
		switch {
		case strings.EqualFold(h.Name, HeaderCustomer):
			err = l.nameCustomer(strings.Trim(h.Value, " \t"), key)
		case strings.EqualFold(h.Name, HeaderTags):
			err = l.nameTags(h.Value, key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// namesSomebody says whether headers name a customer or tags.
func namesSomebody(headers []Header) bool {
	return slices.ContainsFunc(headers, func(h Header) bool {
		return (strings.EqualFold(h.Name, HeaderCustomer) || strings.EqualFold(h.Name, HeaderTags)) && strings.Trim(h.Value, " \t,") != ""
	})
}

func (l *labels) nameCustomer(name string, key *admit.Key) error {
	switch {
	case name == "" || name == l.customer:
		return nil
	case !contract.ValidLabel(name):
		return invalidLabel(HeaderCustomer, name)
	case key.Customer != "":
		return fault.New(fault.LabelInvalid, "Key %s is charged to customer %s and can't name another one.", key.Name, key.Customer).
			WithHint("Leave out the header " + HeaderCustomer + ", or use a key without a customer.")
	case l.customer != "":
		return fault.New(fault.LabelInvalid, "The request names two customers in %s.", HeaderCustomer).
			WithHint("Send " + HeaderCustomer + " once, with one name.")
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

func invalidLabel(header, name string) error {
	return fault.New(fault.LabelInvalid, "%s has a name that can't be one: %.60q.", header, name)
}
