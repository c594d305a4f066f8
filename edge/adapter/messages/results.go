package messages

import (
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter/jsontext"
)

// result translates a tool's result. Chat Completions takes nothing but text from tools: images and files go into the user's
// message that follows, and the result says where they would stand.
func (r *request) result(t *turns, b *block, p place) error {
	switch {
	case b.toolUseID.Type != gjson.String || b.toolUseID.Str == "":
		return r.invalid(p.String()+".tool_use_id", "it is required and must be a text")
	case !t.known[b.toolUseID.Str]:
		return r.invalid(p.String()+".tool_use_id", "no message before it has a tool_use block with the id %q", b.toolUseID.Str)
	case jsontext.Present(b.content) && b.content.Type != gjson.String && !b.content.IsArray():
		return r.invalid(p.String()+".content", "it must be a text or a list of blocks")
	case jsontext.Present(b.isError) && !b.isError.IsBool():
		return r.invalid(p.String()+".is_error", "it must be true or false")
	}
	t.tool.reset()
	if b.isError.Bool() {
		t.tool.prefix = "Error: "
	}
	marked := r.marked(b)
	if b.content.Type == gjson.String {
		t.tool.text(jsontext.Inner(b.content), marked)
	} else if err := r.resultBlocks(t, b, p); err != nil {
		return err
	}
	if t.tool.prefix != "" {
		t.tool.text("", marked)
	}
	t.results = append(append(t.results, `,{"role":"tool","tool_call_id":`...), b.toolUseID.Raw...)
	t.results = append(t.tool.append(append(t.results, `,"content":`...), r.opts.GetStringContent()), '}')
	return nil
}

func (r *request) resultBlocks(t *turns, b *block, p place) error {
	id := jsontext.Inner(b.toolUseID)
	images, files := 0, 0
	// moved says in the result and before what was moved which of the result's parts it is.
	moved := func(kind string, n *int) {
		*n++
		label := "[" + kind + " " + strconv.Itoa(*n) + " of tool result " + id + "]"
		t.tool.text(label, false)
		t.parts.text(label, false)
	}
	return r.blocks(b.content, p, func(c *block, p place) error {
		switch c.kind {
		case "text", "search_result":
			return r.part(&t.tool, c, p)
		case "image":
			image, err := r.image(c, p)
			if err != nil {
				return err
			}
			moved("image", &images)
			t.parts.other(image)
			return nil
		case "document":
			if c.source.Get("type").Str == "text" {
				return r.document(&t.tool, c, p)
			}
			moved("document", &files)
			return r.document(&t.parts, c, p)
		default:
			return r.cannot(p.String(), "it takes no block of the type %q from a tool", c.kind)
		}
	})
}
