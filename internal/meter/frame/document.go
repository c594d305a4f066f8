package frame

// document reads one JSON document, or the elements of an array at its top, which come one by one.
type document struct {
	w   *work
	bom byteOrderMark
	at  docAt
	// seen says that the document was read at a glance, and waits for what follows.
	seen bool
}

type docAt uint8

const (
	docBegin  docAt = iota
	docOne          // a document that is no array
	docBehind       // behind it, where only space may follow
	docFirst        // an element, or the end of the array
	docElem         // an element
	docIn           // in an element
	docComma        // behind an element
	docAfter        // behind an array, where only space may follow
	docBroken
)

func (d *document) reset(w *work) { *d = document{w: w} }

func (d *document) write(p []byte) {
	i := d.bom.skip(p)
	for i < len(p) {
		j := &d.w.proj
		switch d.at {
		case docOne, docIn:
			n := j.feed(p[i:])
			i += n
			if j.st == broken {
				d.fail()
			}
			if j.st == atEnd {
				if d.at == docOne {
					d.at = docBehind
					continue
				}
				d.at = docComma
				d.w.give(nil, j, false, false)
				d.w.done = i
			}
			continue
		case docBroken:
			return
		case docBegin, docBehind, docFirst, docElem, docComma, docAfter:
		}
		c := p[i]
		if c == ' ' || c == '\n' || c == '\r' || c == '\t' {
			i++
			continue
		}
		switch {
		case d.at == docBegin && c == '[':
			d.at = docFirst
			i++
		case d.at == docBegin:
			if d.whole(p) {
				if n := d.w.look(p[i:]); n > 0 {
					d.at, d.seen = docBehind, true
					i += n
					continue
				}
			}
			d.at = docOne
			j.begin(d.w.paths.root)
		case d.at == docFirst && c == ']', d.at == docComma && c == ']':
			d.at = docAfter
			i++
		case d.at == docFirst, d.at == docElem:
			if n := d.w.look(p[i:]); n > 0 {
				d.at = docComma
				i += n
				d.w.read(nil, false)
				d.w.done = i
				continue
			}
			d.at = docIn
			j.begin(d.w.paths.root)
		case d.at == docComma && c == ',':
			d.at = docElem
			i++
		case d.at == docComma, d.at == docAfter:
			d.at = docBroken
			d.w.blame("the array has something behind its elements that does not belong there")
		default:
			d.fail()
		}
	}
}

// whole says whether a piece may be all there is of the document: most are, and nobody has to look at the others twice.
func (*document) whole(p []byte) bool {
	end := len(p)
	for end > 0 && p[end-1] <= ' ' {
		end--
	}
	return end > 0 && p[end-1] == '}'
}

// fail gives up what is being read.
func (d *document) fail() {
	d.w.blame("the document is not JSON")
	d.w.give(nil, nil, false, false)
	d.at = docBroken
}

func (d *document) end() {
	j := &d.w.proj
	switch d.at {
	case docOne, docIn:
		j.finish() // of a number only the end says that it is whole
		if j.st == atEnd && d.at == docOne {
			d.w.give(nil, j, false, false)
			return
		}
		d.w.blame("the document broke off")
		d.w.give(nil, nil, true, false)
	case docBehind:
		if d.seen {
			d.w.read(nil, false)
			return
		}
		d.w.give(nil, j, false, false)
	case docFirst, docElem, docComma:
		d.w.blame("the array broke off")
	case docBegin, docAfter, docBroken:
	}
}

// byteOrderMark leaves out the mark that some servers begin texts with. It is how much of it has come.
type byteOrderMark uint8

const mark = "\xef\xbb\xbf"

// skip is how many bytes of the piece belong to it. A mark that is not whole is dropped with what follows: nothing that
// can be read begins so.
func (b *byteOrderMark) skip(p []byte) (n int) {
	for int(*b) < len(mark) && n < len(p) && p[n] == mark[*b] {
		*b++
		n++
	}
	if n < len(p) {
		*b = byteOrderMark(len(mark))
	}
	return n
}
