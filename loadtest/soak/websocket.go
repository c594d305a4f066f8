package main

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 says so
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
)

// Opcodes of RFC 6455.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// frame is a whole message of a WebSocket.
type frame struct {
	op      byte
	masked  bool
	payload []byte
}

// accepted is the answer to the key of a handshake.
func accepted(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455 says so
	return base64.StdEncoding.EncodeToString(sum[:])
}

// largestFrame is more than anybody sends here.
const largestFrame = 1 << 20

func readFrame(r *bufio.Reader) (frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	if head[0]&0xf0 != 0x80 {
		return frame{}, errors.New("a frame is not a whole message")
	}
	f := frame{op: head[0] & 15, masked: head[1]&0x80 != 0}
	n := uint64(head[1] & 0x7f)
	var long [8]byte
	switch n {
	case 126:
		if _, err := io.ReadFull(r, long[:2]); err != nil {
			return frame{}, err
		}
		n = uint64(binary.BigEndian.Uint16(long[:2]))
	case 127:
		if _, err := io.ReadFull(r, long[:]); err != nil {
			return frame{}, err
		}
		n = binary.BigEndian.Uint64(long[:])
	}
	if n > largestFrame {
		return frame{}, errors.New("a frame is too large")
	}
	var mask [4]byte
	if f.masked {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return frame{}, err
		}
	}
	f.payload = make([]byte, n)
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return frame{}, err
	}
	for i := range f.payload {
		f.payload[i] ^= mask[i&3]
	}
	return f, nil
}

func (f frame) writeTo(w io.Writer) error {
	out := []byte{0x80 | f.op, 0}
	switch n := len(f.payload); {
	case n < 126:
		out[1] = byte(n)
	case n < 1<<16:
		out[1] = 126
		out = binary.BigEndian.AppendUint16(out, uint16(n))
	default:
		out[1] = 127
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	var mask [4]byte
	if f.masked {
		out[1] |= 0x80
		mask = [4]byte{0x37, 0xfa, 0x21, byte(len(f.payload))}
		out = append(out, mask[:]...)
	}
	at := len(out)
	out = append(out, f.payload...)
	for i := range f.payload {
		out[at+i] ^= mask[i&3]
	}
	_, err := w.Write(out)
	return err
}
