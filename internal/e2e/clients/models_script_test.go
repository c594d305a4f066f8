package clients_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/tidwall/gjson"
)

// conversation is what a request says in any language.
type conversation struct {
	system   string
	tools    []string // in the vendor's names
	parallel bool     // whether several may be called at once
	thinks   bool
	stops    []string
	shape    string // the schema of an answer that is JSON
	turns    []turn
}

// turn is what one side said: texts, images and results of tools of a user, texts and calls of the assistant.
type turn struct {
	role    string
	text    string
	images  []string // "image/png SHA256", or a URL
	calls   []toolCall
	results []toolResult
}

type toolCall struct{ id, name, input string }

type toolResult struct {
	id, text string
	failed   bool
}

func readConversation(lang string, q gjson.Result) (conversation, error) {
	switch lang {
	case "chat":
		return readChat(q)
	case "messages":
		return readMessages(q)
	default:
		return conversation{}, fmt.Errorf("this vendor knows recorded answers alone in %s", lang)
	}
}

func readChat(q gjson.Result) (conversation, error) {
	c := conversation{parallel: !q.Get("parallel_tool_calls").Exists() || q.Get("parallel_tool_calls").Bool(), thinks: q.Get("reasoning_effort").Exists()}
	for _, t := range q.Get("tools").Array() {
		c.tools = append(c.tools, t.Get("function.name").Str)
	}
	c.shape = q.Get("response_format.json_schema.schema").Raw
	for _, s := range append(q.Get("stop").Array(), q.Get("stop_sequences").Array()...) {
		c.stops = append(c.stops, s.Str)
	}
	for _, m := range q.Get("messages").Array() {
		switch role := m.Get("role").Str; role {
		case "system", "developer":
			c.system += partsText(m.Get("content"))
		case "tool":
			r := toolResult{id: m.Get("tool_call_id").Str, text: partsText(m.Get("content"))}
			r.text, r.failed = strings.CutPrefix(r.text, "Error: ")
			c.say("user").results = append(c.say("user").results, r)
		case "user", "assistant":
			t := c.say(role)
			t.text += partsText(m.Get("content"))
			for _, p := range m.Get("content").Array() {
				if url := p.Get("image_url.url"); url.Exists() {
					image, err := imageOf(url.Str)
					if err != nil {
						return c, err
					}
					t.images = append(t.images, image)
				}
			}
			for _, call := range m.Get("tool_calls").Array() {
				t.calls = append(t.calls, toolCall{call.Get("id").Str, call.Get("function.name").Str, call.Get("function.arguments").Str})
			}
		}
	}
	return c, nil
}

func readMessages(q gjson.Result) (conversation, error) {
	kind := q.Get("thinking.type").Str
	c := conversation{
		parallel: !q.Get("tool_choice.disable_parallel_tool_use").Bool(), system: partsText(q.Get("system")),
		thinks: kind == "enabled" || kind == "adaptive" || q.Get("output_config.effort").Exists(),
	}
	for _, t := range q.Get("tools").Array() {
		c.tools = append(c.tools, t.Get("name").Str)
	}
	for _, s := range q.Get("stop_sequences").Array() {
		c.stops = append(c.stops, s.Str)
	}
	c.shape = q.Get("output_config.format.schema").Raw
	for _, m := range q.Get("messages").Array() {
		t := c.say(m.Get("role").Str)
		t.text += partsText(m.Get("content"))
		if !m.Get("content").IsArray() {
			continue
		}
		for _, b := range m.Get("content").Array() {
			switch b.Get("type").Str {
			case "image":
				url := b.Get("source.url").Str
				if b.Get("source.type").Str == "base64" {
					url = "data:" + b.Get("source.media_type").Str + ";base64," + b.Get("source.data").Str
				}
				image, err := imageOf(url)
				if err != nil {
					return c, err
				}
				t.images = append(t.images, image)
			case "tool_use":
				t.calls = append(t.calls, toolCall{b.Get("id").Str, b.Get("name").Str, b.Get("input").Raw})
			case "tool_result":
				for _, part := range b.Get("content").Array() {
					if data := part.Get("source.data"); data.Exists() {
						image, err := imageOf("data:" + part.Get("source.media_type").Str + ";base64," + data.Str)
						if err != nil {
							return c, err
						}
						t.images = append(t.images, image)
					}
				}
				t.results = append(t.results, toolResult{b.Get("tool_use_id").Str, partsText(b.Get("content")), b.Get("is_error").Bool()})
			}
		}
	}
	return c, nil
}

// say is the turn that is going on if it is of that role, or a new one.
func (c *conversation) say(role string) *turn {
	if n := len(c.turns); n == 0 || c.turns[n-1].role != role {
		c.turns = append(c.turns, turn{role: role})
	}
	return &c.turns[len(c.turns)-1]
}

// partsText is the text of a message: a string, or what its parts of text say.
func partsText(content gjson.Result) string {
	if content.Type == gjson.String {
		return content.Str
	}
	var all strings.Builder
	for _, p := range content.Array() {
		if p.Get("type").Str == "text" {
			all.WriteString(p.Get("text").Str)
		}
	}
	return all.String()
}

// imageOf names an image by its type and the hash of what is in it, or by its URL.
func imageOf(url string) (string, error) {
	kind, data, ok := strings.Cut(strings.TrimPrefix(url, "data:"), ";base64,")
	if !ok {
		return url, nil
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return "", fmt.Errorf("an image: %w", err)
	}
	sum := sha256.Sum256(raw)
	return kind + " " + hex.EncodeToString(sum[:]), nil
}

// spoken is what the vendor says where nothing else matters, with all that is hard to write.
const spoken = "Grüße, 世界 🐦 – "

const spokenOn = "\"quoted\" <&> \\ a line\nand \u2028 another."

// The tools' inputs in the order in which the vendor calls its two tools: the first one for two places, at once if it may, and
// the second. A number keeps how it is written.
var (
	inputParis   = `{"city":"Paris","days":1.50}`
	inputOslo    = `{"city":"Oslo 🐦 \"x\"","days":12345678901234567890}`
	inputConvert = `{"from":{"unit":"C","values":[21,-3]},"to":"F"}`
)

// plainOslo is the input for the second place in numbers that every library keeps.
const plainOslo = `{"city":"Oslo 🐦 \"x\"","days":3}`

// answer is what the vendor says next.
func (c conversation) answer(lang, what string) (said, error) {
	if n := len(c.turns); n == 0 || c.turns[n-1].role != "user" {
		return said{}, errors.New("the user does not speak last")
	}
	last := c.turns[len(c.turns)-1]
	switch what {
	case "weather":
		return c.weather(lang, inputParis, inputOslo)
	case "forecast":
		return c.weather(lang, `{"city":"Paris","days":1.5}`, plainOslo)
	case "json":
		if !gjson.Valid(c.shape) {
			return said{}, errors.New("it has no schema of the answer")
		}
		return said{text: `{"city":"Oslo 🐦","days":[1,2.5,-3]}`}, nil
	case "see":
		if len(last.images) == 0 {
			return said{}, errors.New("there is no image")
		}
		return said{text: "I see " + strings.Join(last.images, " and ")}, nil
	case "think":
		if !c.thinks {
			return said{}, errors.New("it was not asked to think")
		}
		return said{thinking: "Hm… 🤔 let me think.", text: spoken + spokenOn}, nil
	case "long":
		return said{text: spoken, end: "length"}, nil
	case "stop":
		if len(c.stops) == 0 {
			return said{}, errors.New("it has no stop sequences")
		}
		return said{text: spoken, end: "stop", stop: c.stops[0]}, nil
	default:
		return said{text: spoken + spokenOn}, nil
	}
}

// idPrefixes are what the ids of a vendor's calls begin with.
var idPrefixes = map[string]string{"chat": "call_", "messages": "toolu_01"}

// sameID says whether two ids are of the same call. One that another vendor made keeps its name.
func sameID(a, b string) bool {
	plain := func(id string) string {
		for _, prefix := range idPrefixes {
			id = strings.TrimPrefix(id, prefix)
		}
		return id
	}
	return plain(a) == plain(b) && a != plain(a)
}

// weather calls the first tool for two places and then the second, and tells what they said. It holds what it is told of its own
// calls against those that it made: ids, names and inputs to the last digit.
func (c conversation) weather(lang, first, second string) (said, error) {
	if len(c.tools) < 2 {
		return said{}, fmt.Errorf("it has the tools %q in place of two", c.tools)
	}
	id := func(what string) string { return idPrefixes[lang] + what }
	paris, oslo := toolCall{id("Paris"), c.tools[0], first}, toolCall{id("Oslo"), c.tools[0], second}
	steps := [][]toolCall{{paris, oslo}, {{id("Convert"), c.tools[1], inputConvert}}}
	if !c.parallel {
		steps = [][]toolCall{{paris}, {oslo}, steps[1]}
	}
	done := 0
	var results []string
	for i, t := range c.turns {
		if len(t.calls) == 0 {
			continue
		}
		if done == len(steps) || !sameCalls(t.calls, steps[done]) {
			return said{}, fmt.Errorf("step %d: the calls were %q", done, t.calls)
		}
		if i+1 == len(c.turns) || len(c.turns[i+1].results) != len(t.calls) {
			return said{}, fmt.Errorf("step %d: calls without results", done)
		}
		for j, r := range c.turns[i+1].results {
			if r.id != t.calls[j].id {
				return said{}, fmt.Errorf("step %d: a result of %s in place of %s", done, r.id, t.calls[j].id)
			}
			if r.failed {
				r.text = "failed with " + r.text
			}
			results = append(results, r.text)
		}
		results = append(results, c.turns[i+1].images...)
		done++
	}
	if done < len(steps) {
		return said{text: fmt.Sprintf("Step %d… ", done), calls: steps[done]}, nil
	}
	return said{text: strings.Join(results, "; ")}, nil
}

func sameCalls(a, b []toolCall) bool {
	for i := range a {
		if i >= len(b) || !sameID(a[i].id, b[i].id) || a[i].name != b[i].name || !sameInput(a[i].input, b[i].input) {
			return false
		}
	}
	return len(a) == len(b)
}

// sameInput compares JSON with its numbers as they are written.
func sameInput(a, b string) bool {
	read := func(text string) (v any) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		_ = d.Decode(&v) // what can't be read equals nothing that can
		return v
	}
	return reflect.DeepEqual(read(a), read(b))
}
