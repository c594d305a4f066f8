package frame

// numState is where in a number the projection is.
type numState struct {
	at   numAt
	copy bool
	from int // where in the document it began
}

type numAt uint8

const (
	numBegin numAt = iota
	numMinus
	numZero  // behind a leading 0, after which no digit may come
	numInt   // may end here
	numPoint //
	numFrac  // may end here
	numE     //
	numSign  //
	numExp   // may end here
)

func (j *projector) beginNumber() {
	j.st = inNumber
	copied := j.scalar()
	j.num = numState{copy: copied, from: len(j.out)}
}

// number reads on in a number, up to what does not belong to it.
func (j *projector) number(p []byte, i int) int {
	start, at := i, j.num.at
	for i < len(p) {
		c := p[i]
		switch digit := c-'0' < 10; {
		case digit:
			switch at {
			case numBegin, numMinus:
				at = numInt
				if c == '0' {
					at = numZero
				}
			case numPoint:
				at = numFrac
			case numE, numSign:
				at = numExp
			case numZero:
				j.st = broken
				return i
			case numInt, numFrac, numExp:
			}
			if i++; at != numZero {
				i += digits(p[i:])
			}
			continue
		case c == '-' && at == numBegin:
			at = numMinus
		case c == '.' && (at == numInt || at == numZero):
			at = numPoint
		case (c == 'e' || c == 'E') && (at == numInt || at == numZero || at == numFrac):
			at = numE
		case (c == '-' || c == '+') && at == numE:
			at = numSign
		default:
			j.num.at = at
			j.keepNumber(p[start:i])
			j.endNumber()
			return i
		}
		i++
	}
	j.num.at = at
	j.keepNumber(p[start:i])
	return i
}

func (j *projector) keepNumber(p []byte) {
	n := &j.num
	switch {
	case !n.copy:
	case len(j.out)-n.from+len(p) > maxNumber:
		j.out = append(j.out[:n.from], "null"...)
		n.copy, j.cut = false, true
	default:
		j.out = append(j.out, p...)
	}
}

func (j *projector) endNumber() {
	switch j.num.at {
	case numZero, numInt, numFrac, numExp:
		j.ended()
	case numBegin, numMinus, numPoint, numE, numSign:
		j.st = broken
	}
}

// literal reads on in true, false or null.
func (j *projector) literal(p []byte, i int) int {
	n := min(len(j.rest), len(p)-i)
	if string(p[i:i+n]) != j.rest[:n] {
		j.st = broken
		return i
	}
	if j.rest = j.rest[n:]; j.rest == "" {
		j.ended()
	}
	return i + n
}
