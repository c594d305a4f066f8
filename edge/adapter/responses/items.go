package responses

import (
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// itemID is the id of the item at an index of the output.
func (t *translation) itemID(prefix string, index int) string {
	return prefix + t.call.ID + strconv.Itoa(index)
}

// appendReasoning appends an item of thoughts. text is JSON without its quotes.
func appendReasoning(dst []byte, id, text string) []byte {
	dst = append(append(append(dst, `{"id":"`...), id...), `","type":"reasoning","summary":[],"content":[`...)
	dst = appendThoughtPart(dst, text)
	return append(dst, "]}"...)
}

func appendThoughtPart(dst []byte, text string) []byte {
	return append(append(append(dst, `{"type":"reasoning_text","text":"`...), text...), `"}`...)
}

// appendMessage appends an item of what the assistant says. parts have commas between them.
func appendMessage(dst []byte, id, status string, parts []byte) []byte {
	dst = append(append(append(dst, `{"id":"`...), id...), `","type":"message","status":"`...)
	dst = append(append(dst, status...), `","role":"assistant","content":[`...)
	return append(append(dst, parts...), "]}"...)
}

func appendTextPart(dst []byte, text string, annotations []byte) []byte {
	dst = append(append(append(dst, `{"type":"output_text","text":"`...), text...), `","annotations":[`...)
	return append(append(dst, annotations...), `],"logprobs":[]}`...)
}

func appendRefusalPart(dst []byte, text string) []byte {
	return append(append(append(dst, `{"type":"refusal","refusal":"`...), text...), `"}`...)
}

// appendCall appends a call of a function.
func appendCall(dst []byte, id, status, callID, name, arguments string) []byte {
	dst = append(append(append(dst, `{"id":"`...), id...), `","type":"function_call","status":"`...)
	dst = gjson.AppendJSONString(append(append(dst, status...), `","call_id":`...), callID)
	dst = gjson.AppendJSONString(append(dst, `,"name":`...), name)
	return append(append(append(dst, `,"arguments":"`...), arguments...), `"}`...)
}

// appendAnnotation appends what an annotation of Chat Completions is in Responses. Only citations of pages are known there.
func appendAnnotation(dst []byte, v gjson.Result) ([]byte, bool) {
	c := v.Get("url_citation")
	url, title := c.Get("url"), c.Get("title")
	if v.Get("type").String() != "url_citation" || url.Type != gjson.String {
		return dst, false
	}
	start, _ := jsontext.Count(c.Get("start_index"))
	end, _ := jsontext.Count(c.Get("end_index"))
	dst = strconv.AppendInt(append(dst, `{"type":"url_citation","start_index":`...), start, 10)
	dst = strconv.AppendInt(append(dst, `,"end_index":`...), end, 10)
	dst = append(append(dst, `,"url":`...), url.Raw...)
	if title.Type == gjson.String {
		dst = append(append(dst, `,"title":`...), title.Raw...)
	} else {
		dst = append(dst, `,"title":""`...)
	}
	return append(dst, '}'), true
}
