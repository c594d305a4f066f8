package messages

import (
	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// block is a block of content, with the fields that any type has.
type block struct {
	kind                                                    string
	text, source, title, context, citations, content, cache gjson.Result
	id, name, input, thinking, toolUseID, isError           gjson.Result
}

// blocks goes through content: a text is one block of text. A block is good until do returns.
func (r *request) blocks(content gjson.Result, p place, do func(*block, place) error) error {
	if content.Type == gjson.String {
		b := r.take()
		defer r.give(b)
		*b = block{kind: "text", text: content}
		return do(b, p)
	}
	var err error
	b := r.take()
	defer r.give(b)
	i := 0
	content.ForEach(func(_, v gjson.Result) bool {
		at := p
		if at.block < 0 {
			at.block = i
		} else {
			at.inner = i
		}
		i++
		if !v.IsObject() {
			err = r.invalid(at.String(), "it must be an object")
			return false
		}
		*b = block{}
		b.read(v)
		err = do(b, at)
		return err == nil
	})
	return err
}

// take is room for a block, which is large, and give takes it back. Blocks lie within blocks, so that one is not enough.
func (r *request) take() *block {
	n := len(r.spare)
	if n == 0 {
		return new(block)
	}
	b := r.spare[n-1]
	r.spare = r.spare[:n-1]
	return b
}

func (r *request) give(b *block) { r.spare = append(r.spare, b) }

func (b *block) read(v gjson.Result) {
	v.ForEach(func(key, f gjson.Result) bool {
		switch key.Str {
		case "type":
			b.kind = f.String()
		case "text":
			b.text = f
		case "source":
			b.source = f
		case "title":
			b.title = f
		case "context":
			b.context = f
		case "citations":
			b.citations = f
		case "content":
			b.content = f
		case "cache_control":
			b.cache = f
		case "id":
			b.id = f
		case "name":
			b.name = f
		case "input":
			b.input = f
		case "thinking":
			b.thinking = f
		case "tool_use_id":
			b.toolUseID = f
		case "is_error":
			b.isError = f
		}
		return true
	})
}

// marked says whether a part of this block is to be marked as the end of what is cached. Where the vendor knows no marks,
// the block goes without.
func (r *request) marked(b *block) bool {
	if !jsontext.Present(b.cache) {
		return false
	}
	if !r.opts.GetCacheBreakpoints() {
		r.leave("cache_control")
		return false
	}
	return true
}

// part translates a block of what the user says.
func (r *request) part(to *parts, b *block, p place) error {
	switch b.kind {
	case "text":
		return r.text(to, b, p)
	case "image":
		image, err := r.image(b, p)
		if err == nil {
			to.other(image)
		}
		return err
	case "document":
		return r.document(to, b, p)
	case "search_result":
		return r.searchResult(to, b, p)
	case "":
		return r.invalid(p.String()+".type", "it is required and must be a text")
	default:
		return r.cannot(p.String(), "it takes no block of the type %q", b.kind)
	}
}

// text translates a block of text. An empty one says nothing.
func (r *request) text(to *parts, b *block, p place) error {
	if b.text.Type != gjson.String {
		return r.invalid(p.String()+".text", "it is required and must be a text")
	}
	if marked := r.marked(b); b.text.Str != "" {
		to.text(jsontext.Inner(b.text), marked)
	}
	return nil
}

// image makes a part of an image.
func (r *request) image(b *block, p place) ([]byte, error) {
	if jsontext.Present(b.cache) {
		// Images cannot be marked.
		r.leave("cache_control")
	}
	url := []byte(`{"type":"image_url","image_url":{"url":"`)
	switch kind := b.source.Get("type"); kind.Str {
	case "base64":
		media, data := b.source.Get("media_type"), b.source.Get("data")
		switch media.Str {
		case "image/jpeg", "image/png", "image/gif", "image/webp":
		default:
			return nil, r.cannot(p.String()+".source.media_type", "it takes image/jpeg, image/png, image/gif and image/webp, and this is %q", media.String())
		}
		if data.Type != gjson.String || data.Str == "" {
			return nil, r.invalid(p.String()+".source.data", "it is required and must be a text")
		}
		url = append(append(append(url, "data:"...), media.Str...), ";base64,"...)
		url = append(url, jsontext.Inner(data)...)
	case "url":
		from := b.source.Get("url")
		if from.Type != gjson.String || from.Str == "" {
			return nil, r.invalid(p.String()+".source.url", "it is required and must be a text")
		}
		url = append(url, jsontext.Inner(from)...)
	case "file":
		return nil, r.cannot(p.String()+".source", "a file is known to the vendor that has it, and this one has not; send the image itself or its URL")
	default:
		return nil, r.invalid(p.String()+".source.type", "it is required and must be base64, url or file")
	}
	return append(url, `"}}`...), nil
}

// cites refuses citations that were asked for: they would not come.
func (r *request) cites(b *block, p place) error {
	if b.citations.Get("enabled").Bool() {
		return r.cannot(p.String()+".citations", "its models cite nothing; leave it out")
	}
	return nil
}

// document translates a document: as text where it is one, as a file where the vendor takes files.
func (r *request) document(to *parts, b *block, p place) error {
	if err := r.cites(b, p); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		v    gjson.Result
	}{{".title", b.title}, {".context", b.context}} {
		if jsontext.Present(f.v) && f.v.Type != gjson.String {
			return r.invalid(p.String()+f.name, "it must be a text")
		}
	}
	data := b.source.Get("data")
	switch kind := b.source.Get("type").Str; kind {
	case "text":
		if data.Type != gjson.String {
			return r.invalid(p.String()+".source.data", "it is required and must be a text")
		}
		to.text(b.heading()+jsontext.Inner(data), r.marked(b))
		return nil
	case "content":
		return r.documentOf(to, b, p)
	case "base64":
		return r.file(to, b, p)
	case "url", "file":
		return r.cannot(p.String()+".source", "it takes documents only with what is in them, and the type of this source is %q", kind)
	default:
		return r.invalid(p.String()+".source.type", "it is required and must be base64, text, content, url or file")
	}
}

// heading is what stands before a document's text: its title and what it is about. It is inner.
func (b *block) heading() string {
	head := ""
	for _, v := range []gjson.Result{b.title, b.context} {
		if v.Type == gjson.String && v.Str != "" {
			head += jsontext.Inner(v) + `\n`
		}
	}
	return head
}

// documentOf translates a document that is made of blocks.
func (r *request) documentOf(to *parts, b *block, p place) error {
	content := b.source.Get("content")
	if content.Type != gjson.String && !content.IsArray() {
		return r.invalid(p.String()+".source.content", "it is required and must be a text or a list of blocks")
	}
	if jsontext.Present(b.cache) {
		// The mark would have to stand on a part that is not this block's own.
		r.leave("cache_control")
	}
	if head := b.heading(); head != "" {
		to.text(head, false)
	}
	return r.blocks(content, p, func(b *block, p place) error {
		if b.kind != "text" && b.kind != "image" {
			return r.invalid(p.String()+".type", "a document is made of text and images")
		}
		return r.part(to, b, p)
	})
}

// file makes a part of a PDF document.
func (r *request) file(to *parts, b *block, p place) error {
	media, data := b.source.Get("media_type"), b.source.Get("data")
	switch {
	case media.Str != "application/pdf":
		return r.cannot(p.String()+".source.media_type", "it takes documents of the type application/pdf, and this is %q", media.String())
	case !r.opts.GetFiles():
		return r.cannot(p.String()+".source", "it takes no files; send the text of the document")
	case data.Type != gjson.String || data.Str == "":
		return r.invalid(p.String()+".source.data", "it is required and must be a text")
	}
	name := "document.pdf"
	if b.title.Type == gjson.String && b.title.Str != "" {
		name = jsontext.Inner(b.title)
	}
	if b.context.Type == gjson.String && b.context.Str != "" {
		to.text(jsontext.Inner(b.context), false)
	}
	part := append([]byte(`{"type":"file","file":{"filename":"`), name...)
	part = append(append(part, `","file_data":"data:application/pdf;base64,`...), jsontext.Inner(data)...)
	part = append(part, `"}`...)
	if r.marked(b) {
		part = append(part, breakpoint...)
	}
	to.other(append(part, '}'))
	return nil
}

// searchResult translates what a search has found, as one text.
func (r *request) searchResult(to *parts, b *block, p place) error {
	if err := r.cites(b, p); err != nil {
		return err
	}
	if b.source.Type != gjson.String || b.title.Type != gjson.String {
		return r.invalid(p.String(), "title and source are required and must be texts")
	}
	text := append([]byte(jsontext.Inner(b.title)+`\n`), jsontext.Inner(b.source)...)
	err := r.blocks(b.content, p, func(b *block, p place) error {
		if b.kind != "text" || b.text.Type != gjson.String {
			return r.invalid(p.String(), "what a search has found is text")
		}
		text = append(append(text, `\n`...), jsontext.Inner(b.text)...)
		return nil
	})
	if err == nil {
		to.text(string(text), r.marked(b))
	}
	return err
}
