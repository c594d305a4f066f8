package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/tidwall/gjson"
)

// Responses is a stream of the Responses API as its caller understands it.
type Responses struct {
	Text, Refusal, Thoughts string
	Calls                   []ResponsesCall
	Final                   string // the response as the last event has it; empty until it has come
	Error                   string // JSON; empty without one
}

// ResponsesCall is the call of a function.
type ResponsesCall struct{ ID, Name, Arguments string }

// ResponsesStream reads a stream of the Responses API, or as much of one as has come, and says what is wrong with it: every event
// has its name and follows the schema, they are numbered from 0, items and their parts begin in order and have one end,
// what is said piece by piece is what is said at the end of the part, of the item and of the response, and nothing comes
// after the response or an error. The only exception is response.failed, which OpenAI sends behind an error.
func ResponsesStream(stream []byte) (Responses, error) {
	var s responsesReader
	err := Events(stream, s.event)
	if err != nil {
		err = fmt.Errorf("event %d: %w", s.events, err)
	}
	return s.Responses, err
}

type responsesReader struct {
	Responses
	events   int
	numbered bool
	id       string
	items    []*responseItem
}

type responseItem struct {
	id, kind string
	open     bool
	parts    []string // JSON, as they ended
	summary  []string
	part     string // type of the open part; empty if none is
	raw      string // of the open part, or the arguments of a call: JSON without quotes, because a piece may end in half a character
	said     string // text at the end of the part, before the part itself ends
	ended    bool   // that text has come
	json     string // the whole item
}

func (s *responsesReader) event(typ string, data []byte) error {
	doc := gjson.ParseBytes(data)
	name := doc.Get("type").Str
	if typ != name {
		return fmt.Errorf("it has the name %q and the type %q", typ, name)
	}
	if err := Check("openai-response-event", data); err != nil {
		return fmt.Errorf("%w: %s", err, data)
	}
	number := doc.Get("sequence_number")
	if s.events == 0 {
		s.numbered = number.Exists()
	}
	if s.numbered != number.Exists() || s.numbered && number.Int() != int64(s.events) {
		return fmt.Errorf("its number is %s, and %d came before", number.Raw, s.events)
	}
	s.events++
	failed := name == "response.failed"
	if s.Final != "" || s.Error != "" && !failed {
		return fmt.Errorf("it comes behind the end: %s", data)
	}
	if name == "error" {
		s.Error = doc.Raw
		return nil
	}
	if (s.id == "") != (name == "response.created") {
		return errors.New("response.created comes first, and once")
	}
	if response := doc.Get("response"); response.Exists() {
		return s.lifecycle(name, response)
	}
	return s.inItem(name, doc)
}

func (s *responsesReader) lifecycle(name string, response gjson.Result) error {
	if id := response.Get("id").Str; s.id != "" && id != s.id {
		return fmt.Errorf("its response is %q, and was %q", id, s.id)
	}
	s.id = response.Get("id").Str
	want := strings.TrimPrefix(name, "response.")
	if want == "created" {
		want = "in_progress"
	}
	if got := response.Get("status").Str; got != want {
		return fmt.Errorf("its status is %q", got)
	}
	output := response.Get("output").Array()
	if want == "in_progress" {
		if len(s.items)+len(output) > 0 {
			return errors.New("there is output already")
		}
		return nil
	}
	s.Final = response.Raw
	if want == "failed" {
		return nil
	}
	if len(output) != len(s.items) {
		return fmt.Errorf("its response has %d items, and %d were told", len(output), len(s.items))
	}
	for i, it := range s.items {
		if it.open {
			return fmt.Errorf("item %d has no end", i)
		}
		if !same(output[i].Raw, it.json) {
			return fmt.Errorf("item %d is %s, and was %s", i, output[i].Raw, it.json)
		}
	}
	return nil
}

func (s *responsesReader) inItem(name string, doc gjson.Result) error {
	index := int(doc.Get("output_index").Int())
	if name == "response.output_item.added" {
		item := doc.Get("item")
		if index != len(s.items) {
			return fmt.Errorf("item %d begins after %d", index, len(s.items))
		}
		if len(item.Get("content").Array())+len(item.Get("summary").Array())+len(item.Get("arguments").Str) > 0 {
			return errors.New("an item begins with something in it")
		}
		s.items = append(s.items, &responseItem{id: item.Get("id").Str, kind: item.Get("type").Str, open: true})
		return nil
	}
	if index >= len(s.items) || !s.items[index].open {
		return fmt.Errorf("item %d is not open", index)
	}
	it := s.items[index]
	if name == "response.output_item.done" {
		return s.itemDone(it, doc.Get("item"))
	}
	if id := doc.Get("item_id").Str; id != it.id {
		return fmt.Errorf("item %d has the id %q, and had %q", index, id, it.id)
	}
	switch strings.TrimPrefix(name, "response.") {
	case "content_part.added":
		return it.begin(doc.Get("part"), int(doc.Get("content_index").Int()) == len(it.parts))
	case "reasoning_summary_part.added":
		return it.begin(doc.Get("part"), int(doc.Get("summary_index").Int()) == len(it.summary))
	case "output_text.delta", "refusal.delta", "reasoning_text.delta", "reasoning_summary_text.delta":
		return it.delta(name, doc)
	case "output_text.done", "refusal.done", "reasoning_text.done", "reasoning_summary_text.done":
		it.ended, it.said = true, doc.Get("text").Str+doc.Get("refusal").Str
		if it.said != it.text() || it.part == "" {
			return fmt.Errorf("the text is %q, and was %q", it.said, it.text())
		}
		return nil
	case "content_part.done":
		return it.end(doc.Get("part"), &it.parts, int(doc.Get("content_index").Int()))
	case "reasoning_summary_part.done":
		return it.end(doc.Get("part"), &it.summary, int(doc.Get("summary_index").Int()))
	case "function_call_arguments.delta", "custom_tool_call_input.delta":
		if it.ended || it.kind != "function_call" && it.kind != "custom_tool_call" {
			return errors.New("arguments come where none belong")
		}
		it.raw += within(doc.Get("delta").Raw)
	case "function_call_arguments.done":
		if it.ended || it.kind != "function_call" || doc.Get("arguments").Str != it.text() {
			return fmt.Errorf("the arguments are %q, and were %q", doc.Get("arguments").Str, it.text())
		}
		it.ended = true
	}
	return nil
}

func (it *responseItem) text() string { return gjson.Parse(`"` + it.raw + `"`).Str }

func (it *responseItem) begin(part gjson.Result, next bool) error {
	if !next || it.part != "" {
		return errors.New("a part begins out of order")
	}
	thought := part.Get("type").Str == "reasoning_text" || part.Get("type").Str == "summary_text"
	if it.kind != "message" && it.kind != "reasoning" || thought != (it.kind == "reasoning") {
		return fmt.Errorf("a part %s is in an item %s", part.Get("type").Str, it.kind)
	}
	it.part, it.raw, it.ended = part.Get("type").Str, "", false
	return nil
}

func (it *responseItem) delta(name string, doc gjson.Result) error {
	belongs := map[string]string{
		"response.output_text.delta": "output_text", "response.refusal.delta": "refusal",
		"response.reasoning_text.delta": "reasoning_text", "response.reasoning_summary_text.delta": "summary_text",
	}[name]
	at := doc.Get("content_index").Int()
	open := int64(len(it.parts))
	if belongs == "summary_text" {
		at, open = doc.Get("summary_index").Int(), int64(len(it.summary))
	}
	if it.part != belongs || it.ended || at != open {
		return fmt.Errorf("it is for part %d, and open is %d, %q", at, open, it.part)
	}
	it.raw += within(doc.Get("delta").Raw)
	return nil
}

func (it *responseItem) end(part gjson.Result, list *[]string, index int) error {
	if it.part != part.Get("type").Str || index != len(*list) || !it.ended {
		return errors.New("a part ends out of order")
	}
	if text := part.Get("text").Str + part.Get("refusal").Str; text != it.text() {
		return fmt.Errorf("the part has %q, and was told %q", text, it.text())
	}
	*list = append(*list, part.Raw)
	it.part, it.raw, it.ended = "", "", false
	return nil
}

func (s *responsesReader) itemDone(it *responseItem, item gjson.Result) error {
	it.open, it.json = false, item.Raw
	if item.Get("id").Str != it.id || item.Get("type").Str != it.kind || it.part != "" {
		return fmt.Errorf("the item %s of type %s ends as another one, or with an open part", it.id, it.kind)
	}
	switch it.kind {
	case "message", "reasoning":
		for name, told := range map[string][]string{"content": it.parts, "summary": it.summary} {
			if all := item.Get(name); all.Exists() && !same(all.Raw, "["+strings.Join(told, ",")+"]") {
				return fmt.Errorf("%s is %s, and was told %v", name, all.Raw, told)
			}
		}
		for _, raw := range it.parts {
			part := gjson.Parse(raw)
			switch part.Get("type").Str {
			case "output_text":
				s.Text += part.Get("text").Str
			case "refusal":
				s.Refusal += part.Get("refusal").Str
			case "reasoning_text":
				s.Thoughts += part.Get("text").Str
			}
		}
	case "function_call":
		if !it.ended || item.Get("arguments").Str != it.text() {
			return fmt.Errorf("the arguments are %q, and were %q", item.Get("arguments").Str, it.text())
		}
		s.Calls = append(s.Calls, ResponsesCall{item.Get("call_id").Str, item.Get("name").Str, it.text()})
	}
	return nil
}

// within is what is between the quotes.
func within(raw string) string { return raw[1 : len(raw)-1] }

// same says whether two texts are the same JSON.
func same(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
