package meter

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"tollgate/internal/meter/frame"
)

// place is what kind of place a source is.
type place uint8

const (
	inFrame   place = iota + 1
	inMessage       // of the caller on a WebSocket; of other requests inRequest
	inRequest
	inHeader
	inTrailer
	inForm
	inQuery
	inPath
	inRequestHeader
	constant
	measure
)

// What is measured.
const (
	requestBytes  = "request_bytes"
	responseBytes = "response_bytes"
	seconds       = "seconds"
	frames        = "frames"
)

// source is where a value is.
type source struct {
	place place
	name  string // of a header, a field, a parameter; a measure; a constant's value; the path in a document
	event string // only frames of that kind; empty for any
	path  int    // of frames and messages: which of the looks finds it
	// length says that frames have the number of characters in place of each text.
	length bool
	// recurs says that what is there is mostly what was there before, such as the name of a model.
	recurs bool
	re     *regexp.Regexp // inPath
	text   string         // as a person reads it
}

// early says whether the value is known before the request is sent.
func (s *source) early() bool {
	switch s.place {
	case inRequest, inForm, inQuery, inPath, inRequestHeader, constant:
		return true
	default:
		return false
	}
}

// value is what a source has. Documents have typed values; everywhere else there is text.
type value struct {
	typed gjson.Result
	text  string
	doc   bool // typed holds
	there bool
}

func textValue(s string, there bool) value { return value{text: s, there: there} }

func docValue(r gjson.Result) value {
	return value{typed: r, doc: true, there: r.Exists() && r.Type != gjson.Null}
}

// String is the value as text; of an array or an object it is its JSON.
func (v value) String() string {
	switch {
	case !v.there:
		return ""
	case v.doc:
		return textOf(v.typed)
	default:
		return v.text
	}
}

// textOf is a value of a document as text. Numbers stay as they are written.
func textOf(r gjson.Result) string {
	if r.Type == gjson.String {
		return r.Str
	}
	return r.Raw
}

// parsed is what was already taken apart of a request.
type parsed struct {
	json   bool // the body is one JSON document
	object bool
	looked bool
	form   url.Values
	formed bool
	torn   bool // not all of the form could be read
	// found is the field that was looked for last, which the next one who looks mostly wants as well.
	found   gjson.Result
	foundAt string // its path
	media   string
	typed   bool // media is known
	begins  bool // the body, which is not there any more, begins like a document
	// members are the fields of the body, of which there are as many, if it is indexed. Several sources look for each. They are lent
	// while the body is there: a request whose answer lasts has no need of them.
	members *[mostMembers]frame.Member
	fields  int
	indexed bool
}

// mostMembers is how many fields of a body are found without reading it again.
const mostMembers = 24

// indexes are the members of requests whose bodies are forgotten.
var indexes = sync.Pool{New: func() any { return new([mostMembers]frame.Member) }}

// Forget lets go of the body. It may be called again.
func (r *Request) Forget() {
	r.Body = nil
	if p := &r.parsed; p.members != nil {
		indexes.Put(p.members)
		p.members, p.indexed = nil, false
	}
}

// document says whether the body is a JSON document.
func (r *Request) document() bool {
	if !r.parsed.looked {
		r.parsed.looked = true
		if !r.Whole || len(r.Body) == 0 || isForm(r.mediaType()) {
			return false
		}
		r.parsed.members = indexes.Get().(*[mostMembers]frame.Member) //nolint:forcetypeassert // the pool holds nothing else
		if _, count, ok := frame.Members(r.Body, r.parsed.members[:0]); ok {
			r.parsed.json, r.parsed.object = true, true
			r.parsed.fields, r.parsed.indexed = count, count <= mostMembers
			return true
		}
		r.parsed.json = frame.Valid(r.Body)
		if r.parsed.json {
			body := spaceless(r.Body)
			r.parsed.object = len(body) > 0 && body[0] == '{'
		}
	}
	return r.parsed.json
}

// field is a value of the body.
func (r *Request) field(path string) gjson.Result {
	if !r.document() || len(r.Body) == 0 {
		return gjson.Result{}
	}
	if p := &r.parsed; p.foundAt != path || path == "" {
		p.found, p.foundAt = r.look(path), path
	}
	return r.parsed.found
}

// look looks for a value in the body, which is a document.
func (r *Request) look(path string) gjson.Result {
	if !r.parsed.indexed || !namesAlone(path) {
		return gjson.GetBytes(r.Body, path)
	}
	name, rest, deep := strings.Cut(path, ".")
	for _, m := range r.parsed.members[:r.parsed.fields] {
		if !m.Is(r.Body, name) {
			continue
		}
		value := m.Value(r.Body)
		if !deep {
			return gjson.Parse(shortText(value))
		}
		if value[0] == '{' { // elsewhere gjson looks for an object where there is none
			if v := gjson.GetBytes(value, rest); v.Exists() {
				return v
			}
		}
	}
	return gjson.Result{}
}

// scalars are values of bodies that came last. What a price looks at is what most requests say alike, such as the model.
var scalars names

// mostScalar is how long a value is that is kept for other requests.
const mostScalar = 64

// shortText is a value as a text, which several sources look for and which takes no memory of its own if it came before.
func shortText(value []byte) string {
	if n := len(value); n == 0 || n > mostScalar || value[0] == '{' || value[0] == '[' {
		return string(value)
	}
	return scalars.text(value)
}

// namesAlone says whether a path is made of names that mean nothing else.
func namesAlone(path string) bool {
	begins := true
	for i := range len(path) {
		c := path[i]
		switch letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'; {
		case c == '.' && !begins:
			begins = true
			continue
		case letter, !begins && (c == '-' || c >= '0' && c <= '9'):
			begins = false
		default:
			return false
		}
	}
	return !begins
}

func (r *Request) header(name string) string {
	if r.Header == nil {
		return ""
	}
	return r.Header(name)
}

// mostField is how long the value of a form's field may be that anybody looks at. Files are longer.
const mostField = 1 << 20

// formField is a field of the form. Of a body that was not read whole, those are found that come first.
func (r *Request) formField(name string) (string, bool) {
	if !r.parsed.formed {
		r.parsed.formed = true
		r.parsed.form = r.readForm()
	}
	if !r.parsed.form.Has(name) {
		return "", false
	}
	return r.parsed.form.Get(name), true
}

// The media types of forms.
const (
	urlencoded = "application/x-www-form-urlencoded"
	multiparts = "multipart/form-data"
)

func isForm(media string) bool { return media == urlencoded || media == multiparts }

// mediaType is what the request says that its body is, without its parameters.
func (r *Request) mediaType() string {
	if p := &r.parsed; !p.typed {
		p.typed = true
		if p.media = r.header("Content-Type"); p.media != "application/json" { // which most say, and no more than that
			media, _, _ := strings.Cut(p.media, ";")
			p.media = strings.ToLower(strings.TrimSpace(media))
		}
	}
	return r.parsed.media
}

func (r *Request) readForm() url.Values {
	media := r.mediaType()
	if r.Body == nil || !isForm(media) {
		r.parsed.torn = !r.Whole
		return nil
	}
	if media == urlencoded {
		if r.parsed.torn = !r.Whole; !r.Whole {
			return nil
		}
		values, err := url.ParseQuery(string(r.Body)) // as far as it can be read
		r.parsed.torn = err != nil
		return values
	}
	form := url.Values{}
	_, params, _ := mime.ParseMediaType(r.header("Content-Type"))
	parts := multipart.NewReader(bytes.NewReader(r.Body), params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			r.parsed.torn = r.parsed.torn || err != io.EOF //nolint:errorlint // one that is wrapped comes before the last boundary
			return form
		}
		if part.FileName() != "" {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(part, mostField+1))
		if err != nil {
			r.parsed.torn = true // cut off within the field
			return form
		}
		if r.parsed.torn = r.parsed.torn || len(text) > mostField; len(text) <= mostField {
			form.Add(part.FormName(), string(text))
		}
	}
}

// query is a parameter of the query.
func (r *Request) query(name string) (string, bool) {
	values := r.parameters(name)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// parameters are all values of a parameter. One whose escapes make no sense is taken as it is written.
func (r *Request) parameters(name string) (values []string) {
	for pair := range strings.SplitSeq(r.Query, "&") {
		key, text, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); err != nil || k != name {
			continue
		}
		if plain, err := url.QueryUnescape(text); err == nil {
			text = plain
		}
		values = append(values, text)
	}
	return values
}

// early finds a value that is known before the request is sent. Fields that are set on the way count as well.
func (s *source) find(r *Request, edits []Edit) value {
	switch s.place {
	case inRequest:
		v := docValue(r.field(s.name))
		if v.there {
			return v
		}
		for _, e := range edits {
			if e.Path == s.name {
				return docValue(gjson.Parse(e.Value))
			}
		}
		return v
	case inForm:
		return textValue(r.formField(s.name))
	case inQuery:
		return textValue(r.query(s.name))
	case inPath:
		return s.group(r.Path)
	case inRequestHeader:
		text := r.header(s.name)
		return textValue(text, text != "")
	case constant:
		return textValue(s.name, true)
	default:
		return value{}
	}
}

// group is what the group of a pattern finds in a path, without its escapes.
func (s *source) group(path string) value {
	found := s.re.FindStringSubmatchIndex(path)
	if len(found) < 4 || found[2] < 0 {
		return value{}
	}
	text := path[found[2]:found[3]]
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	return textValue(text, text != "")
}
