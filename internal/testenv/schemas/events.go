package schemas

import (
	"bytes"
	"fmt"
)

// Events takes a text of server-sent events apart as strictly as no client would: each event is lines of a field and a value,
// its data one line, behind it an empty line, and line ends are LF. Comments may stand anywhere.
func Events(text []byte, each func(typ string, data []byte) error) error {
	for len(text) > 0 {
		event, rest, ok := bytes.Cut(text, []byte("\n\n"))
		if !ok {
			return fmt.Errorf("no empty line follows %q", text)
		}
		text = rest
		typ, data := "", []byte(nil)
		for line := range bytes.SplitSeq(event, []byte("\n")) {
			value, isType := bytes.CutPrefix(line, []byte("event: "))
			if isType && typ == "" {
				typ = string(value)
				continue
			}
			value, isData := bytes.CutPrefix(line, []byte("data: "))
			if isData && data == nil {
				data = value
				continue
			}
			if !bytes.HasPrefix(line, []byte(":")) {
				return fmt.Errorf("%q is no line of an event", line)
			}
		}
		if data == nil {
			if typ != "" {
				return fmt.Errorf("the event %q has no data", typ)
			}
			continue
		}
		if err := each(typ, data); err != nil {
			return err
		}
	}
	return nil
}
