package schemas

import (
	"errors"
	"fmt"

	"github.com/tidwall/gjson"
)

// Chat is a stream of Chat Completions as its caller understands it.
type Chat struct {
	Text, Reasoning, Refusal string
	Calls                    []ChatCall // the old form's function_call is one without an ID
	FinishReason             string     // empty until it has come
	Usage                    string     // JSON; empty until it has come
	Error                    string     // JSON; empty without one
	Done                     bool       // [DONE] has come, so that the answer is whole
}

// ChatCall is the call of a tool.
type ChatCall struct{ ID, Name, Arguments string }

// ChatStream reads a stream of Chat Completions of one choice, or as much of one as has come, and says what is wrong with it: every
// event is a chunk by the schema or an error, the first chunk has the role, calls are numbered in the order in which they begin and are
// not gone back to, there is one reason for the end, usage comes last if and only if it was asked for, and nothing comes after
// [DONE] or an error.
func ChatStream(stream []byte, wantsUsage bool) (Chat, error) {
	c := chatReader{wantsUsage: wantsUsage}
	err := Events(stream, c.event)
	if err == nil && c.Done && wantsUsage != (c.Usage != "") {
		err = fmt.Errorf("usage is %q, and asked for: %v", c.Usage, wantsUsage)
	}
	if err == nil && c.Done && c.FinishReason == "" {
		err = errors.New("[DONE] without a reason")
	}
	if err != nil {
		return c.Chat, fmt.Errorf("event %d: %w", c.events, err)
	}
	return c.Chat, nil
}

type chatReader struct {
	Chat
	wantsUsage bool
	events     int
	id         string
}

func (c *chatReader) event(typ string, data []byte) error {
	c.events++
	if typ != "" {
		return fmt.Errorf("it has the name %q", typ)
	}
	if c.Done || c.Error != "" {
		return fmt.Errorf("it comes behind the end: %s", data)
	}
	if string(data) == "[DONE]" {
		c.Done = true
		return nil
	}
	doc := gjson.ParseBytes(data)
	if doc.Get("error").Exists() {
		c.Error = doc.Raw
		return Check("openai-error", data)
	}
	if err := Check("openai-chat-chunk", data); err != nil {
		return fmt.Errorf("%w: %s", err, data)
	}
	if id := doc.Get("id").Str; c.id != "" && id != c.id {
		return fmt.Errorf("its id is %q, and those before had %q", id, c.id)
	}
	if c.Usage != "" {
		return errors.New("it comes behind usage")
	}
	if u := doc.Get("usage"); u.IsObject() {
		c.Usage = u.Raw
	} else if u.Exists() && !c.wantsUsage {
		return errors.New("it speaks of usage, which was not asked for")
	}
	first := c.id == ""
	c.id = doc.Get("id").Str
	choices := doc.Get("choices").Array()
	switch {
	case len(choices) == 0 && c.Usage != "":
		if c.FinishReason == "" {
			return errors.New("usage comes before the end")
		}
		return nil
	case len(choices) != 1 || choices[0].Get("index").Int() != 0:
		return errors.New("it has not one choice")
	case c.FinishReason != "":
		return errors.New("something is said behind the reason for the end")
	}
	if c.Usage != "" {
		return errors.New("usage comes with a choice")
	}
	if first != (choices[0].Get("delta.role").Str == "assistant") {
		return errors.New("the first chunk has the role, and no other")
	}
	c.FinishReason = choices[0].Get("finish_reason").Str
	return c.delta(choices[0].Get("delta"))
}

func (c *chatReader) delta(d gjson.Result) error {
	c.Text += d.Get("content").Str
	c.Reasoning += d.Get("reasoning_content").Str
	c.Refusal += d.Get("refusal").Str
	if f := d.Get("function_call"); f.Exists() {
		if name := f.Get("name").Str; name != "" {
			c.Calls = append(c.Calls, ChatCall{Name: name})
		}
		if len(c.Calls) != 1 {
			return fmt.Errorf("there are %d calls of functions", len(c.Calls))
		}
		c.Calls[0].Arguments += f.Get("arguments").Str
	}
	for _, t := range d.Get("tool_calls").Array() {
		index := int(t.Get("index").Int())
		if id := t.Get("id").Str; id != "" {
			if index != len(c.Calls) {
				return fmt.Errorf("call %d begins after %d", index, len(c.Calls))
			}
			if t.Get("type").Str != "function" || t.Get("function.name").Str == "" {
				return errors.New("a call begins without its type and name")
			}
			c.Calls = append(c.Calls, ChatCall{ID: id, Name: t.Get("function.name").Str})
		}
		if index != len(c.Calls)-1 {
			return fmt.Errorf("call %d goes on, and the last one is %d", index, len(c.Calls)-1)
		}
		c.Calls[index].Arguments += t.Get("function.arguments").Str
	}
	return nil
}
