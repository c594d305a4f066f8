package chat

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// user adds what the user has said.
func (c *conversation) user(field string, content gjson.Result) (err error) {
	if content.Type == gjson.String {
		if content.Raw != `""` {
			c.parts = text(part(c.parts), mark{text: content.Raw})
		}
		return nil
	}
	c.parts, err = c.list(c.parts, field, content)
	return err
}

// list appends the parts of a message.
func (c *conversation) list(dst []byte, field string, content gjson.Result) ([]byte, error) {
	if !content.IsArray() {
		return nil, c.r.wrong(field, "it must be text, or a list of parts")
	}
	for i, p := range adapter.Elements(content) {
		var (
			at  = field + "[" + strconv.Itoa(i) + "]"
			err error
		)
		switch typ := p.Get("type").Str; typ {
		case "text":
			t := p.Get("text")
			if t.Type != gjson.String {
				return nil, c.r.wrong(at+".text", "it must be text")
			}
			if t.Raw != `""` {
				dst = text(part(dst), mark{t.Raw, c.cache(p)})
			}
		case "image_url":
			dst, err = c.image(part(dst), at+".image_url", p)
		case "file":
			dst, err = c.file(part(dst), at+".file", p)
		case "input_audio":
			err = c.r.cannot(at, "Anthropic Messages neither takes nor makes audio")
		default:
			err = c.r.cannot(at+".type", "a part of the type %q cannot be here", typ)
		}
		if err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// cache is the mark of a part behind which the vendor is to cache: OpenAI's own, or Anthropic's if such fields are passed on.
func (c *conversation) cache(p gjson.Result) string {
	if p.Get("prompt_cache_breakpoint").IsObject() {
		return `{"type":"ephemeral"}`
	}
	own := p.Get("cache_control")
	if !own.IsObject() {
		return ""
	}
	if c.r.call.Options.GetExtraFields() == controlv1.ExtraFields_EXTRA_FIELDS_PASS {
		return own.Raw
	}
	c.r.dropped = adapter.Leave(c.r.dropped, "cache_control")
	return ""
}

var images = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

func (c *conversation) image(dst []byte, field string, p gjson.Result) ([]byte, error) {
	u := p.Get("image_url.url")
	if v := p.Get("image_url"); v.Type == gjson.String {
		u = v // as some clients have it
	} else {
		field += ".url"
	}
	address := u.String()
	switch {
	case u.Type != gjson.String || address == "":
		return nil, c.r.wrong(field, "it must be an address")
	case hasScheme(address, "http:"), hasScheme(address, "https:"):
		dst = append(append(dst, `{"type":"image","source":{"type":"url","url":`...), u.Raw...)
	case hasScheme(address, "data:"):
		kind, data, ok := embedded(address)
		if kind == "image/jpg" {
			kind = "image/jpeg"
		}
		if !ok {
			return nil, c.r.wrong(field, "it is a data: address, which must be data:TYPE;base64,DATA")
		}
		if !slices.Contains(images, kind) {
			return nil, c.r.cannot(field, "images are image/jpeg, image/png, image/gif or image/webp there, and this is %q", kind)
		}
		dst = append(append(dst, `{"type":"image","source":{"type":"base64","media_type":"`...), kind...)
		dst = append(append(append(dst, `","data":"`...), data...), '"')
	default:
		return nil, c.r.cannot(field, "images have an address of http:, https: or data: there")
	}
	if detail := p.Get("image_url.detail").Str; detail != "" && detail != "auto" {
		c.r.dropped = adapter.Leave(c.r.dropped, "image_url.detail")
	}
	return append(cached(append(dst, '}'), c.cache(p)), '}'), nil
}

func (c *conversation) file(dst []byte, field string, p gjson.Result) ([]byte, error) {
	f := p.Get("file")
	if f.Get("file_id").Type == gjson.String {
		return nil, c.r.cannot(field+".file_id", "files that were uploaded to OpenAI are not there; send file_data")
	}
	address := f.Get("file_data")
	if address.Type != gjson.String {
		return nil, c.r.wrong(field+".file_data", "it is missing")
	}
	kind, data, ok := embedded(address.String())
	if !ok {
		return nil, c.r.wrong(field+".file_data", "it must be data:TYPE;base64,DATA")
	}
	if kind != "application/pdf" {
		return nil, c.r.cannot(field+".file_data", "files are application/pdf there, and this is %q", kind)
	}
	dst = append(append(dst, `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"`...), data...)
	dst = append(dst, `"}`...)
	if name := f.Get("filename"); name.Type == gjson.String && name.Str != "" {
		dst = append(append(dst, `,"title":`...), name.Raw...)
	}
	return append(cached(dst, c.cache(p)), '}'), nil
}

func hasScheme(address, scheme string) bool {
	return len(address) > len(scheme) && strings.EqualFold(address[:len(scheme)], scheme)
}

// embedded takes an address apart that is its own content, in base64.
func embedded(address string) (kind, data string, ok bool) {
	head, data, ok := strings.Cut(address, ",")
	if !ok || data == "" || !hasScheme(head, "data:") {
		return "", "", false
	}
	kind, more, _ := strings.Cut(head[len("data:"):], ";")
	if more != "base64" && !strings.HasSuffix(more, ";base64") {
		return "", "", false
	}
	digits := strings.TrimRight(data, "=")
	if len(data)-len(digits) > 2 || len(digits)%4 == 1 {
		return "", "", false
	}
	for i := range len(digits) {
		if !base64Digits[digits[i]] {
			return "", "", false
		}
	}
	return strings.ToLower(kind), data, true
}

// base64Digits is the alphabet, which needs no escaping in JSON.
var base64Digits = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		is[c] = true
	}
	return is
}()
