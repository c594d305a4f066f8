package messages

// Strings go from one schema to the other as they were written. A text between quotes, with its escapes, is called inner here.

// parts is content of a message that is being put together.
type parts struct {
	joiner string // stands between texts where they are sent as one; inner
	prefix string // stands before the first text; inner
	list   []byte // the parts, each behind a comma; empty while there is only one, which is a text
	joined []byte // the texts alone; inner
	n      int
	rich   bool // there is something that cannot be said as one text
}

// text adds a text. marked says that the prompt is cached up to here, and that the vendor wants to know it.
func (p *parts) text(text string, marked bool) {
	if p.n > 0 {
		p.spell()
		p.joined = append(p.joined, p.joiner...)
	}
	at := len(p.joined)
	p.joined = append(append(p.joined, p.prefix...), text...)
	p.prefix = ""
	p.n++
	if p.n == 1 && !marked {
		return
	}
	p.list = append(p.list, `,{"type":"text","text":"`...)
	p.list = append(append(p.list, p.joined[at:]...), '"')
	if marked {
		p.list = append(p.list, breakpoint...)
		p.rich = true
	}
	p.list = append(p.list, '}')
}

// spell writes the first part, which was not needed until there were more.
func (p *parts) spell() {
	if p.n == 1 && len(p.list) == 0 {
		p.list = append(append(append(p.list, `,{"type":"text","text":"`...), p.joined...), `"}`...)
	}
}

const breakpoint = `,"prompt_cache_breakpoint":{"mode":"explicit"}`

// other adds a part that is no text.
func (p *parts) other(part []byte) {
	p.spell()
	p.list = append(append(p.list, ','), part...)
	p.n++
	p.rich = true
}

// append writes the content: as one text if it is one, or if the vendor takes nothing else.
func (p *parts) append(dst []byte, asText bool) []byte {
	if !p.rich && (p.n <= 1 || asText) {
		return append(append(append(dst, '"'), p.joined...), '"')
	}
	return append(append(append(dst, '['), p.list[1:]...), ']')
}

// reset empties it for the next message.
func (p *parts) reset() {
	p.list, p.joined, p.n, p.rich, p.prefix = p.list[:0], p.joined[:0], 0, false, ""
}
