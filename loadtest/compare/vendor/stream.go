package vendor

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// stream sends all events, each in a write of its own.
func stream(c net.Conn, paced bool) error {
	if _, err := c.Write(streamHead); err != nil {
		return err
	}
	began := time.Now()
	for i := range Events {
		if paced {
			time.Sleep(time.Until(began.Add(time.Duration(i) * Pace)))
		}
		if _, err := c.Write(chunk); err != nil {
			return err
		}
	}
	_, err := c.Write(lastChunk)
	return err
}

// silence sends the first event, and then nothing until the peer leaves.
func silence(c net.Conn, in *bufio.Reader) error {
	if _, err := c.Write(append(append([]byte{}, streamHead...), chunk...)); err != nil {
		return err
	}
	_, err := in.ReadByte()
	return errors.Join(errors.New("the peer left"), err)
}

// acceptGUID is what RFC 6455 section 1.3 appends to the caller's key.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	opClose     = 8
	headerBytes = 4 // of a frame with a mask, after its first two bytes
)

// echo is a WebSocket that sends each message back. Messages are short: their length stands in the second byte.
func echo(c net.Conn, in *bufio.Reader, key string) error {
	sum := sha1.Sum([]byte(key + acceptGUID)) //nolint:gosec // RFC 6455 asks for it
	if _, err := fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:])); err != nil {
		return err
	}
	var frame [2 + 125]byte
	var head [2 + headerBytes]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		size := int(head[1] & 0x7f)
		if head[1]&0x80 == 0 || size > 125 {
			return errUnserved
		}
		frame[0], frame[1] = head[0], byte(size)
		body := frame[2 : 2+size]
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		mask := binary.BigEndian.Uint32(head[2:])
		for i := range body {
			body[i] ^= byte(mask >> (24 - 8*(i%4)))
		}
		if _, err := c.Write(frame[:2+size]); err != nil {
			return err
		}
		if head[0]&0xf == opClose {
			return io.EOF
		}
	}
}
