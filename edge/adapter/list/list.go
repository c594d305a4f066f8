// Package list writes lists of models as the vendors' clients read them: OpenAI's, which come whole, and Anthropic's, which come in
// pages. It lists names that can be asked for, aliases too, and nothing that a key may not ask for; names with a "*" stand for
// names that nobody has listed and are left out, because a client that picks one from a list would ask for it as it stands.
//
// It is not for operators, who see models with all that is behind them.
package list

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/jsontext"
	"tollgate/edge/routing"
)

// Entry is a name that can be asked for.
type Entry struct {
	ID      string
	Created int64 // Unix seconds
}

// Of is the names of models that may be asked for, in order.
func Of(models []*routing.Model, may func(name string) bool) (out []Entry) {
	for _, m := range models {
		if !m.Pattern() && may(m.Name) {
			out = append(out, Entry{m.Name, m.Created})
		}
		for _, alias := range m.Aliases {
			if may(alias) {
				out = append(out, Entry{alias, m.Created})
			}
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// One writes what a schema has to say of one model: found by the table, and allowed by its key.
func One(s adapter.Schema, e Entry) []byte {
	if s == adapter.Messages {
		return e.anthropic(nil)
	}
	return e.openAI(nil)
}

// All writes the list in a schema; query is the caller's, of which Anthropic's says which page. The error is about that.
func All(s adapter.Schema, entries []Entry, query string) ([]byte, *adapter.Error) {
	if s != adapter.Messages {
		return whole(entries), nil
	}
	page, more, err := pageOf(entries, query)
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), `{"data":[`...)
	for i, e := range page {
		if i > 0 {
			out = append(out, ',')
		}
		out = e.anthropic(out)
	}
	first, last := "", ""
	if len(page) > 0 {
		first, last = page[0].ID, page[len(page)-1].ID
	}
	out = strconv.AppendBool(append(out, `],"has_more":`...), more)
	out = jsontext.OrNull(append(out, `,"first_id":`...), first)
	out = jsontext.OrNull(append(out, `,"last_id":`...), last)
	return append(out, '}'), nil
}

func whole(entries []Entry) []byte {
	out := append([]byte(nil), `{"object":"list","data":[`...)
	for i, e := range entries {
		if i > 0 {
			out = append(out, ',')
		}
		out = e.openAI(out)
	}
	return append(out, ']', '}')
}

func (e Entry) openAI(dst []byte) []byte {
	dst = gjson.AppendJSONString(append(dst, `{"id":`...), e.ID)
	dst = strconv.AppendInt(append(dst, `,"object":"model","created":`...), e.Created, 10)
	return append(dst, `,"owned_by":"tollgate"}`...)
}

func (e Entry) anthropic(dst []byte) []byte {
	dst = gjson.AppendJSONString(append(dst, `{"type":"model","id":`...), e.ID)
	dst = gjson.AppendJSONString(append(dst, `,"display_name":`...), e.ID)
	dst = append(dst, `,"created_at":"`...)
	return append(time.Unix(e.Created, 0).UTC().AppendFormat(dst, time.RFC3339), '"', '}')
}

// Entries of a page: as Anthropic has it.
const (
	usual = 20
	most  = 1000
)

// pageOf finds a page of Anthropic's. A name where a page begins or ends need not exist any more: the order of names says where it was.
func pageOf(entries []Entry, query string) (page []Entry, more bool, _ *adapter.Error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, false, &adapter.Error{Kind: adapter.Invalid, Message: "The query of the request cannot be read: write it as limit=20&after_id=NAME."}
	}
	limit, after, before := usual, q.Get("after_id"), q.Get("before_id")
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > most {
			return nil, false, adapter.Refuse("limit", "limit: %q is not a number from 1 to %d.", text, most)
		}
	}
	switch {
	case after != "" && before != "":
		return nil, false, adapter.Refuse("after_id", "after_id: a page cannot be both after a model and before another. Send one of after_id and before_id.")
	case before != "":
		end, _ := find(entries, before)
		start := max(0, end-limit)
		return entries[start:end], start > 0, nil
	default:
		start, is := find(entries, after)
		if is {
			start++
		}
		end := min(len(entries), start+limit)
		return entries[start:end], end < len(entries), nil
	}
}

func find(entries []Entry, id string) (int, bool) {
	return slices.BinarySearchFunc(entries, id, func(e Entry, id string) int { return cmp.Compare(e.ID, id) })
}
