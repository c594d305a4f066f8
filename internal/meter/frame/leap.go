package frame

import (
	"encoding/binary"
	"math/bits"
)

// leap reads on in what is not kept, which is most of what there is. It does what feed does, without looking at what is
// kept, and returns where it does not go on: at the end of the piece or of what is skipped, and at whatever is rare.
func (j *projector) leap(p []byte, i int) int {
	st, depth, outer := j.st, j.depth, j.depth-j.skip
	for i < len(p) {
		c := p[i]
		if c <= ' ' {
			if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
				break
			}
			i++
			continue
		}
		switch st {
		case atNext:
			array := j.kinds[depth-1]
			switch {
			case c == ',':
				if st = atKey; array {
					st = atValue
				}
				i++
				continue
			case c == '}' && !array, c == ']' && array:
			default:
				goto out
			}
		case atColon:
			if c != ':' {
				goto out
			}
			st = atValue
			i++
			continue
		case atKey, atKeyOrEnd:
			if c == '"' {
				n := textEnd(p, i+1)
				if n == len(p) || p[n] != '"' {
					goto out
				}
				st = atColon
				if i = n + 1; i < len(p) && p[i] == ':' {
					st = atValue
					i++
				}
				continue
			}
			if c != '}' || st != atKeyOrEnd {
				goto out
			}
		case atFirst, atValue:
			switch c {
			case '"':
				n := textEnd(p, i+1)
				if n == len(p) || p[n] != '"' {
					goto out
				}
				i = n + 1
				st = atNext
				continue
			case '{', '[':
				if depth == maxDepth {
					goto out
				}
				j.kinds[depth] = c == '['
				depth++
				if st = atKeyOrEnd; c == '[' {
					st = atFirst
				}
				i++
				continue
			case ']':
				if st != atFirst {
					goto out
				}
			default:
				n := i
				if j.kinds[depth-1] {
					n = elements(p, i)
				}
				if n == i {
					n = scalarEnd(p, i)
					st = atNext
				} else {
					st = atValue
				}
				if n == i {
					st = atValue // as good as atFirst: c does not end an array
					goto out
				}
				i = n
				continue
			}
		default:
			goto out
		}
		// Here something ends.
		i++
		depth--
		st = atNext
		if depth == outer {
			j.depth, j.skip = depth, 0
			j.ended()
			return i
		}
	}
out:
	j.st, j.depth, j.skip = st, depth, depth-outer
	return i
}

// textEnd is behind what is surely part of a text from i on: at its end, or at what is rare.
func textEnd(p []byte, i int) int {
	for {
		i += plain(p[i:])
		if len(p)-i < 6 || p[i] != '\\' {
			return i
		}
		switch p[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i += 2
		case 'u':
			for _, c := range p[i+2 : i+6] {
				if _, ok := hexDigit(c); !ok {
					return i
				}
			}
			i += 6
		default:
			return i
		}
	}
}

// digits is how many there are at the beginning.
func digits(p []byte) int {
	i := 0
	for ; i+8 <= len(p); i += 8 {
		t := binary.LittleEndian.Uint64(p[i:]) ^ ones*'0'
		if m := ((t + ones*0x76) | t) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(p) && p[i]-'0' < 10 {
		i++
	}
	return i
}

// digits8 is how many there are at the beginning of eight bytes.
func digits8(p []byte) int {
	t := binary.LittleEndian.Uint64(p) ^ ones*'0'
	return bits.TrailingZeros64(((t+ones*0x76)|t)&highs) >> 3
}

// elements is behind those numbers from i on that have a comma behind them.
func elements(p []byte, i int) int {
	const room = 64 // for a number as it usually is, and the spaces before the next
	for len(p)-i >= room {
		q := p[i : i+room]
		n := 0
		if q[0] == '-' {
			n = 1
		}
		if c := q[n] - '0'; c > 9 || c == 0 && q[n+1]-'0' < 10 {
			return i
		}
		if n++; q[n] != '.' {
			n += digits8(q[n:])
		}
		if q[n] == '.' {
			n++
			k := digits8(q[n:])
			if k == 0 {
				return i
			}
			if k < 8 {
				n += k
			} else { // what follows is not waited for
				n += 8 + digits8(q[n+8:])
			}
		}
		if q[n] != ',' {
			break
		}
		i += n + 1 + indent(q[n+1:n+1+24])
	}
	for {
		n := numberEnd(p, i)
		if n == i || n == len(p) || p[n] != ',' {
			return i
		}
		if n++; n < len(p) && p[n] == ' ' {
			n++
		}
		i = n
	}
}

// indent is how many spaces there are before an element, of at most as many as p has: one, or a line and its indentation.
func indent(p []byte) int {
	if p[0] > ' ' {
		return 0
	}
	n := 0
	if p[0] == '\n' {
		if n = 1; binary.LittleEndian.Uint64(p[1:]) == ones*' ' {
			n = 9
		}
	}
	for n < len(p) && p[n] == ' ' {
		n++
	}
	return n
}

// numberEnd is behind the number that i is at; i if there is none or its end is not in the piece.
func numberEnd(p []byte, i int) int {
	n := i
	if n < len(p) && p[n] == '-' {
		n++
	}
	k := digits(p[n:])
	if k == 0 || k > 1 && p[n] == '0' {
		return i
	}
	if n += k; n < len(p) && p[n] == '.' {
		k = digits(p[n+1:])
		if k == 0 {
			return i
		}
		n += 1 + k
	}
	if n < len(p) && p[n]|0x20 == 'e' {
		if n++; n < len(p) && (p[n] == '-' || p[n] == '+') {
			n++
		}
		k = digits(p[n:])
		if k == 0 {
			return i
		}
		n += k
	}
	if n == len(p) {
		return i
	}
	return n
}

// scalarEnd is behind the number or literal that i is at; i if it is none or its end may not be in the piece.
func scalarEnd(p []byte, i int) int {
	switch rest := p[i:]; {
	case len(rest) > 4 && string(rest[:4]) == "null", len(rest) > 4 && string(rest[:4]) == "true":
		return i + 4
	case len(rest) > 5 && string(rest[:5]) == "false":
		return i + 5
	}
	return numberEnd(p, i)
}
