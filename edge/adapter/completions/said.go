package completions

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// Said is what a message says, or what an event adds to it.
type Said struct {
	Thought gjson.Result // what the model thought: the field has two names, and some vendors send both
	Content gjson.Result // see Pieces
	Refusal gjson.Result
	Notes   gjson.Result // annotations
	calls   gjson.Result // tool_calls
	call    gjson.Result // function_call, of vendors that know no tools
}

// ReadSaid reads a message or a delta.
func ReadSaid(v gjson.Result) (s Said) {
	var other gjson.Result
	v.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "content":
			s.Content = v
		case "refusal":
			s.Refusal = v
		case "reasoning_content":
			s.Thought = v
		case "reasoning":
			other = v
		case "tool_calls":
			s.calls = v
		case "function_call":
			s.call = v
		case "annotations":
			s.Notes = v
		}
		return true
	})
	if s.Thought.Type != gjson.String || s.Thought.Str == "" {
		s.Thought = other
	}
	return s
}

// Pieces goes through content, which is a text, or, as Mistral has it, a list of parts. Parts that are thoughts have parts themselves.
// What it gives are texts, none of them empty.
func Pieces(content gjson.Result, thought, text, refusal func(gjson.Result)) {
	if !content.IsArray() {
		give(content, text)
		return
	}
	content.ForEach(func(_, part gjson.Result) bool {
		part.ForEach(func(key, v gjson.Result) bool {
			switch key.Str {
			case "text":
				give(v, text)
			case "refusal":
				give(v, refusal)
			case "thinking":
				Pieces(v, thought, thought, thought)
			}
			return true
		})
		return true
	})
}

func give(v gjson.Result, to func(gjson.Result)) {
	if v.Type == gjson.String && v.Str != "" {
		to(v)
	}
}

// Call is a call of a tool, or what an event adds to one.
type Call struct {
	ID        string // empty if none is given
	Name      string // empty if none is given
	Index     int64  // the vendor's
	HasIndex  bool   // the vendor gives one
	Arguments gjson.Result
}

// Calls goes through the calls of tools until do says no.
func (s *Said) Calls(do func(Call) bool) {
	more := true
	if s.calls.IsArray() {
		found := false
		s.calls.ForEach(func(_, v gjson.Result) bool {
			found = true
			more = do(readCall(v))
			return more
		})
		if found {
			return
		}
	}
	if s.call.IsObject() {
		c := Call{}
		c.function(s.call)
		do(c)
	}
}

func readCall(v gjson.Result) (c Call) {
	v.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "index":
			c.Index, c.HasIndex = v.Int(), v.Type == gjson.Number
		case "id":
			c.ID = v.Str
		case "function":
			c.function(v)
		}
		return true
	})
	return c
}

// function reads which function is called with what. Some servers give an object in place of its text, which becomes one.
func (c *Call) function(v gjson.Result) {
	v.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "name":
			c.Name = v.Str
		case "arguments":
			if c.Arguments = v; v.IsObject() {
				c.Arguments = gjson.ParseBytes(jsontext.AppendDocument(nil, v.Raw))
			}
		}
		return true
	})
}
