package load

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// socket sends a message when the one before has come back.
type socket struct {
	c     net.Conn
	in    *bufio.Reader
	frame []byte // as it is sent
	text  []byte
	got   []byte
}

// Bytes of a message. Its frame has a header of two bytes, and one of six where it has a mask.
const (
	messageBytes = 120
	textFrame    = 0x81
	closeFrame   = 0x88
	masked       = 0x80
	mask         = 0x12345678
)

func newSocket(j Job) (prepared, tally, error) {
	c, err := dial(j, "http/1.1")
	if err != nil {
		return nil, tally{}, err
	}
	one := &socket{
		c: c, in: bufio.NewReaderSize(c, readSize), text: bytes.Repeat([]byte("echo "), messageBytes/5),
		got: make([]byte, 2+messageBytes),
	}
	one.frame = frame(textFrame, one.text)
	if err := one.open(j); err != nil {
		return nil, tally{}, errors.Join(err, c.Close())
	}
	return one, tally{sent: 1, messages: 1}, nil
}

// frame is one of a caller, who has to mask what he sends.
func frame(op byte, text []byte) []byte {
	b := []byte{op, masked | byte(len(text))}
	b = binary.BigEndian.AppendUint32(b, mask)
	for i, c := range text {
		b = append(b, c^byte(uint32(mask)>>(24-8*(i%4))))
	}
	return b
}

func (one *socket) open(j Job) error {
	if err := one.c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(one.c, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n", j.Path, j.Key); err != nil {
		return err
	}
	if _, err := head(one.in, "101"); err != nil {
		return err
	}
	return one.exchange()
}

func (one *socket) exchange() error {
	if _, err := one.c.Write(one.frame); err != nil {
		return err
	}
	if _, err := io.ReadFull(one.in, one.got); err != nil {
		return err
	}
	if one.got[0] != textFrame || one.got[1] != messageBytes || !bytes.Equal(one.got[2:], one.text) {
		return fmt.Errorf("a message came back as %q", one.got)
	}
	return nil
}

func (one *socket) start(_, until time.Time) tally {
	t := tally{late: NewHistogram()}
	if t.err = one.c.SetDeadline(until.Add(patience)); t.err != nil {
		return t
	}
	for began := time.Now(); began.Before(until); {
		t.messages++
		if t.err = one.exchange(); t.err != nil {
			return t
		}
		now := time.Now()
		t.done++
		record(t.late, now.Sub(began))
		began = now
	}
	t.err = one.end()
	return t
}

// end closes as WebSockets do, so that nobody takes it for a connection that broke.
func (one *socket) end() error {
	if _, err := one.c.Write(frame(closeFrame, []byte{0x03, 0xe8})); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, one.in)
	return err
}

func (one *socket) close() { _ = one.c.Close() }
