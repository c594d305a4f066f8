// Package completions reads what a vendor of Chat Completions has said, whole or piece by piece, in all the ways in which vendors of that
// schema are known to say it. It is pure, and what it gives are parts of the vendor's text as they were written.
//
// It says nothing of what an answer becomes in another schema, and it judges nothing: an answer without a choice or a call without a
// name is read as such. What it reads must have been found valid.
package completions

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// Document is an answer, or an event of a stream of one.
type Document struct {
	ID     string
	Choice gjson.Result // the one with the index 0, which is all that is asked for; nothing if there is none
	Tier   gjson.Result // service_tier
	Failed bool         // the document tells of an error
	Used   gjson.Result // usage
	Aside  gjson.Result // usage where Groq has it in a stream, which counts if there is no other
}

// Read reads an answer or an event.
func Read(data []byte) (d Document) {
	var object gjson.Result
	gjson.ParseBytes(data).ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "id":
			d.ID = v.Str
		case "object":
			object = v
		case "choices":
			d.Choice = first(v)
		case "service_tier":
			d.Tier = v
		case "error":
			d.Failed = jsontext.Present(v)
		case "usage":
			d.Used = v
		case "x_groq":
			d.Aside = v.Get("usage")
		}
		return true
	})
	d.Failed = d.Failed || object.Str == "error"
	return d
}

func first(choices gjson.Result) (choice gjson.Result) {
	if !choices.IsArray() {
		return choice
	}
	choices.ForEach(func(_, v gjson.Result) bool {
		if v.Get("index").Int() != 0 {
			return true
		}
		choice = v
		return false
	})
	return choice
}

// Choice is what an answer or an event has for the caller.
type Choice struct {
	Said   gjson.Result // message, or delta
	Finish string       // why the answer has ended; empty if it has not, or if that is not said
	Stop   gjson.Result // the text that vLLM says it was told to stop at
}

// ReadChoice reads a choice.
func ReadChoice(v gjson.Result) (c Choice) {
	v.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "message", "delta":
			if v.IsObject() {
				c.Said = v
			}
		case "finish_reason":
			c.Finish = v.Str
		case "stop_reason":
			c.Stop = v
		}
		return true
	})
	return c
}
