package http1

import (
	"encoding/binary"
	"math/bits"
)

// What a byte may be part of.
const (
	isToken   = 1 << iota // a name (RFC 9110, 5.6.2)
	isTarget              // an origin-form request target: visible, and no fragment
	isHost                // the name of a host, or its address of four numbers
	isAddress             // an address of IPv6
	isHex
	isDigit
)

// class says of every byte what it may be part of.
var class = func() (c [256]uint8) {
	for b := range 256 {
		if b > ' ' && b < 0x7f && b != '#' {
			c[b] |= isTarget
		}
	}
	mark := func(bit uint8, all string) {
		for i := range len(all) {
			c[all[i]] |= bit
		}
	}
	const digits, letters = "0123456789", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	mark(isToken, digits+letters+"!#$%&'*+-.^_`|~")
	mark(isHost, digits+letters+"-._")
	mark(isAddress, digits+"abcdefABCDEF:.")
	mark(isHex, digits+"abcdefABCDEF")
	mark(isDigit, digits)
	return c
}()

// is says whether s is not empty and all of it is of a class.
func is(s []byte, of uint8) bool {
	for _, c := range s {
		if class[c]&of == 0 {
			return false
		}
	}
	return len(s) > 0
}

// each is a byte in every place of a word.
const each = 0x0101010101010101

// control is the place of the first control character in p from i on that is no tab; len(p) if there is none. It looks at eight
// bytes at once: subtracting borrows from the byte above only where the one below is found, so that the lowest mark is right.
func control(p []byte, i int) int {
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		del := w ^ 0x7f*each
		found := ((w - ' '*each) &^ w & (0x80 * each)) | ((del - each) &^ del & (0x80 * each))
		if found == 0 {
			continue
		}
		at := i + bits.TrailingZeros64(found)>>3
		if p[at] != '\t' {
			return at
		}
		i = at - 7 // on behind the tab
	}
	for ; i < len(p); i++ {
		if c := p[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return i
		}
	}
	return i
}

// named says whether a name is the one that is given in lower case. Of the bytes that names have, only the two cases of a letter
// become the same with this bit.
func named(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range name {
		if name[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// number reads a length as everybody writes it: digits without a sign and without zeros before them, few enough for an int64.
func number(digits []byte) (n int64, ok bool) {
	if !is(digits, isDigit) || len(digits) > 18 || digits[0] == '0' && len(digits) > 1 {
		return 0, false
	}
	for _, c := range digits {
		n = 10*n + int64(c-'0')
	}
	return n, true
}
