package responses

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// part is a piece of content.
type part struct {
	kind  partKind
	raw   string // the text as JSON, or the whole part for images and files
	extra string // further fields of a text's part
}

type partKind uint8

const (
	textPart partKind = iota
	refusalPart
	imagePart
	filePart
)

// noun names what a part shows.
func (p part) noun() string {
	if p.kind == filePart {
		return "file"
	}
	return "image"
}

// where says which field is read. It becomes text only if there is something to say of it.
type where struct {
	list  string
	index int
	field string
}

func (w where) String() string { return at(w.list, w.index) + w.field }

// parts reads content: a text, or a list of parts that a role may have.
func (q *request) parts(w where, v gjson.Result, role string) ([]part, error) {
	if v.Type == gjson.String {
		return []part{{kind: textPart, raw: v.Raw}}, nil
	}
	if !v.IsArray() {
		return nil, q.wrong(w.String(), "it must be a text or a list of parts")
	}
	out := make([]part, 0, 2)
	var err error
	v.ForEach(func(_, p gjson.Result) bool {
		one, ok := onlyText(p)
		if !ok {
			one, err = q.part(at(w.String(), len(out)), p, role)
		}
		out = append(out, one)
		return err == nil
	})
	return out, err
}

// onlyText is a part that is nothing but text, which nearly all are; false if it is not.
func onlyText(p gjson.Result) (part, bool) {
	if !p.IsObject() {
		return part{}, false
	}
	out, text, marked := part{kind: textPart}, false, false
	p.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "type":
			text = value.Str == "input_text" || value.Str == "output_text" || value.Str == "text"
		case "text":
			if out.raw = ""; value.Type == gjson.String {
				out.raw = value.Raw
			}
		case "prompt_cache_breakpoint":
			marked = true
		}
		return true
	})
	return out, text && out.raw != "" && !marked
}

func (q *request) part(param string, p gjson.Result, role string) (part, error) {
	kind := p.Get("type").String()
	switch kind {
	case "input_text", "output_text", "text":
		return q.text(param, p)
	case "refusal":
		text := p.Get("refusal")
		if text.Type != gjson.String {
			return part{}, q.wrong(param+".refusal", "it must be a text")
		}
		if role != "assistant" || q.opt.GetStringContent() {
			return part{kind: textPart, raw: text.Raw}, nil
		}
		return part{kind: refusalPart, raw: text.Raw}, nil
	case "input_image", "input_file":
		if role != "user" && role != "tool" {
			return part{}, q.cannot(param, "only messages of the user may have images and files")
		}
		if kind == "input_image" {
			return q.image(param, p)
		}
		return q.file(param, p)
	case "":
		return part{}, q.wrong(param+".type", "every part has a type")
	default:
		return part{}, q.cannot(param, "a part "+printable(kind)+" has no counterpart there")
	}
}

func (q *request) text(param string, p gjson.Result) (part, error) {
	text := p.Get("text")
	if text.Type != gjson.String {
		return part{}, q.wrong(param+".text", "it must be a text")
	}
	out := part{kind: textPart, raw: text.Raw}
	if mark := p.Get("prompt_cache_breakpoint"); jsontext.Present(mark) {
		if !q.opt.GetCacheBreakpoints() {
			return out, q.drop("prompt_cache_breakpoint")
		}
		out.extra = `,"prompt_cache_breakpoint":` + mark.Raw
	}
	return out, nil
}

func (q *request) image(param string, p gjson.Result) (part, error) {
	if jsontext.Present(p.Get("file_id")) {
		return part{}, q.cannot(param+".file_id", "files are not kept here; send the image itself as image_url")
	}
	url := p.Get("image_url")
	if url.Type != gjson.String || url.Str == "" {
		return part{}, q.wrong(param+".image_url", "it must be a URL, or the image as data:image/png;base64,…")
	}
	raw := `{"type":"image_url","image_url":{"url":` + url.Raw
	switch detail := p.Get("detail"); detail.String() {
	case "auto", "low", "high":
		raw += `,"detail":` + detail.Raw
	case "":
	default: // "original" has no counterpart
		if err := q.drop("input_image.detail"); err != nil {
			return part{}, err
		}
	}
	return part{kind: imagePart, raw: raw + "}}"}, nil
}

func (q *request) file(param string, p gjson.Result) (part, error) {
	switch {
	case jsontext.Present(p.Get("file_id")):
		return part{}, q.cannot(param+".file_id", "files are not kept here; send the file itself as file_data")
	case jsontext.Present(p.Get("file_url")):
		return part{}, q.cannot(param+".file_url", "files are not fetched; send the file itself as file_data")
	case !q.opt.GetFiles():
		return part{}, q.cannot(param, "the deployment is not said to take files")
	}
	data, name := p.Get("file_data"), p.Get("filename")
	if data.Type != gjson.String || data.Str == "" {
		return part{}, q.wrong(param+".file_data", "it must be the file as data:application/pdf;base64,…")
	}
	raw := `{"type":"file","file":{`
	if name.Type == gjson.String {
		raw += `"filename":` + name.Raw + ","
	} else {
		raw += `"filename":"document.pdf",`
	}
	return part{kind: filePart, raw: raw + `"file_data":` + data.Raw + "}}"}, nil
}

// content writes the content of a message: one text as itself, anything else as a list.
func (c *conversation) content(parts []part) {
	c.out = append(c.out, `,"content":`...)
	onlyText := true
	for _, p := range parts {
		onlyText = onlyText && p.kind == textPart && p.extra == ""
	}
	switch {
	case len(parts) == 0:
		c.out = append(c.out, `""`...)
	case len(parts) == 1 && onlyText:
		c.out = append(c.out, parts[0].raw...)
	case onlyText && c.q.opt.GetStringContent():
		c.out = append(c.out, '"')
		for i, p := range parts {
			if i > 0 {
				c.out = append(c.out, `\n\n`...)
			}
			c.out = append(c.out, p.raw[1:len(p.raw)-1]...)
		}
		c.out = append(c.out, '"')
	default:
		c.out = append(c.out, '[')
		for i, p := range parts {
			if i > 0 {
				c.out = append(c.out, ',')
			}
			switch p.kind {
			case textPart:
				c.out = append(append(append(append(c.out, `{"type":"text","text":`...), p.raw...), p.extra...), '}')
			case refusalPart:
				c.out = append(append(append(c.out, `{"type":"refusal","refusal":`...), p.raw...), '}')
			case imagePart, filePart:
				c.out = append(c.out, p.raw...)
			}
		}
		c.out = append(c.out, ']')
	}
}
