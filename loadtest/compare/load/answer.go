package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// readSize holds every head of an answer.
const readSize = 32 << 10

// answer reads an answer of status 200 to its end, and checks the length of its body.
func answer(in *bufio.Reader, expect int) error {
	length, err := head(in, "200")
	if err != nil {
		return err
	}
	got := length
	if length < 0 {
		got, err = chunks(in)
	} else {
		_, err = in.Discard(length)
	}
	if err != nil {
		return err
	}
	if got != expect {
		return fmt.Errorf("an answer of %d bytes where %d were expected", got, expect)
	}
	return nil
}

// head reads a head of a status and returns the length of the body, -1 if it comes in chunks.
func head(in *bufio.Reader, status string) (length int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	const version = "HTTP/1.1 "
	if !bytes.HasPrefix(line, []byte(version)) || !bytes.HasPrefix(line[len(version):], []byte(status)) {
		return 0, refused(in, string(bytes.TrimSpace(line)))
	}
	length = 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch len(name) { // most are told by it alone
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || length < 0 {
					return 0, fmt.Errorf("an answer with a Content-Length of %q", value)
				}
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				length = -1
			}
		}
	}
}

// refused is the error of an answer that is not what was asked for, with as much of it as has come.
func refused(in *bufio.Reader, status string) error {
	const most = 1000
	rest, _ := in.Peek(min(in.Buffered(), most))
	return fmt.Errorf("answered %q: %s", status, rest)
}

// chunks reads a body in chunks to its end and returns how long it was.
func chunks(in *bufio.Reader) (total int, err error) {
	for {
		n, err := chunk(in)
		total += n
		if n == 0 || err != nil {
			return total, err
		}
	}
}

// chunk reads one chunk; the last one has no bytes, and no trailers either.
func chunk(in *bufio.Reader) (int, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("a chunk that begins with %q", line)
	}
	if _, err := in.Discard(int(n)); err != nil {
		return 0, err
	}
	end, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(bytes.TrimRight(end, "\r\n")) > 0 {
		return 0, errors.New("a chunk that is longer than it says")
	}
	return int(n), nil
}
