package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tollgate/controlplane/litellm"
)

// maxLine bounds a line of a dump, and a statement.
const maxLine = 64 << 20

// ParseDump reads the rows of tables in SQL that pg_dump wrote, with COPY or with INSERT.
func ParseDump(r io.Reader, names []string) (map[string][]litellm.Row, error) {
	d := &dump{names: names, in: bufio.NewReaderSize(r, 1<<16), tables: map[string][]litellm.Row{}, columns: map[string][]string{}}
	for {
		line, err := d.read()
		if errors.Is(err, io.EOF) {
			return d.tables, nil
		}
		if err == nil {
			err = d.statement(line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", d.line, err)
		}
	}
}

type dump struct {
	names   []string
	in      *bufio.Reader
	line    int
	tables  map[string][]litellm.Row
	columns map[string][]string // of tables that were created
}

// read is a line without its end.
func (d *dump) read() (string, error) {
	var b strings.Builder
	for {
		part, err := d.in.ReadSlice('\n')
		b.Write(part)
		switch {
		case b.Len() > maxLine:
			return "", fmt.Errorf("it has more than %d bytes", maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && b.Len() == 0:
			return "", err
		case err != nil && !errors.Is(err, io.EOF):
			return "", err
		}
		d.line++
		return strings.TrimRight(b.String(), "\r\n"), nil
	}
}

func (d *dump) statement(line string) error {
	switch {
	case strings.HasPrefix(line, "PGDMP"):
		return errors.New("it is in pg_dump's own format, and must be plain SQL: pg_restore -f makes that of it")
	case strings.HasPrefix(line, "COPY "):
		return d.copy(line)
	case strings.HasPrefix(line, "CREATE TABLE "):
		return d.create(line)
	case strings.HasPrefix(line, "INSERT INTO "):
		return d.insert(line)
	default:
		return nil
	}
}

// wanted is the table of a name with a schema and quotes before and behind it.
func (d *dump) wanted(name string) (string, bool) {
	if _, rest, ok := strings.Cut(name, "."); ok {
		name = rest
	}
	name = strings.Trim(name, `"`)
	return name, slices.Contains(d.names, name)
}

// copy reads rows that stand a line each, with tabs between their values.
func (d *dump) copy(line string) error {
	rest := strings.TrimPrefix(line, "COPY ")
	name, rest, ok := strings.Cut(rest, " ")
	list, _, there := strings.Cut(strings.TrimPrefix(strings.TrimSpace(rest), "("), ")")
	if !ok || !there || !strings.Contains(line, "FROM stdin") {
		return nil
	}
	table, keep := d.wanted(name)
	columns := namesOf(list)
	rows := []litellm.Row{}
	for {
		line, err := d.read()
		if err != nil {
			return fmt.Errorf("the rows of %s do not end", table)
		}
		if line == `\.` {
			break
		}
		if !keep {
			continue
		}
		values := strings.Split(line, "\t")
		if len(values) != len(columns) {
			return fmt.Errorf("a row of %s has %d values for %d columns", table, len(values), len(columns))
		}
		row := litellm.Row{}
		for i, value := range values {
			if value != `\N` {
				row[columns[i]] = unescape(value)
			}
		}
		rows = append(rows, row)
	}
	if keep {
		d.tables[table] = append(d.tables[table], rows...)
		if d.tables[table] == nil {
			d.tables[table] = rows
		}
	}
	return nil
}

func namesOf(list string) (out []string) {
	for name := range strings.SplitSeq(list, ",") {
		out = append(out, strings.Trim(strings.TrimSpace(name), `"`))
	}
	return out
}

var copyEscapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// unescape reads a value of COPY.
func unescape(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' || i+1 == len(value) {
			b.WriteByte(value[i])
			continue
		}
		i++
		if c, ok := copyEscapes[value[i]]; ok {
			b.WriteByte(c)
		} else {
			b.WriteByte(value[i])
		}
	}
	return b.String()
}

// create remembers the columns of a table, which inserts may leave out.
func (d *dump) create(line string) error {
	table, keep := d.wanted(strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(line, "CREATE TABLE "), "(")))
	if !keep || !strings.HasSuffix(line, "(") {
		return nil
	}
	var columns []string
	for {
		line, err := d.read()
		if err != nil || strings.HasPrefix(line, ")") {
			d.columns[table] = columns
			if d.tables[table] == nil {
				d.tables[table] = []litellm.Row{}
			}
			return err
		}
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "CONSTRAINT" && name != "" {
			columns = append(columns, strings.Trim(name, `"`))
		}
	}
}

// insert reads the rows of one statement, which may have several lines.
func (d *dump) insert(line string) error {
	var b strings.Builder
	b.WriteString(line)
	s := scanner{}
	for !s.ends(line) {
		next, err := d.read()
		if err != nil {
			return errors.New("a statement does not end")
		}
		line = "\n" + next
		b.WriteString(line)
		if b.Len() > maxLine {
			return fmt.Errorf("a statement has more than %d bytes", maxLine)
		}
	}
	rest := strings.TrimPrefix(b.String(), "INSERT INTO ")
	name, rest, _ := strings.Cut(rest, " ")
	table, keep := d.wanted(name)
	if !keep {
		return nil
	}
	columns := d.columns[table]
	if strings.HasPrefix(rest, "(") {
		list, after, ok := strings.Cut(rest[1:], ")")
		if !ok {
			return errors.New("the list of columns does not end")
		}
		columns, rest = namesOf(list), strings.TrimSpace(after)
	}
	rest = strings.TrimPrefix(rest, "OVERRIDING SYSTEM VALUE ")
	rest, ok := strings.CutPrefix(rest, "VALUES")
	if !ok || columns == nil {
		return fmt.Errorf("rows of %s are inserted without the names of its columns", table)
	}
	return d.values(table, columns, rest)
}

// scanner finds out where a statement ends.
type scanner struct{ quoted bool }

func (s *scanner) ends(part string) bool {
	end := false
	for i := range len(part) {
		switch c := part[i]; {
		case c == '\'':
			s.quoted, end = !s.quoted, false
		case c == ';' && !s.quoted:
			end = true
		case c != ' ' && c != '\n' && c != '\r':
			end = false
		}
	}
	return end
}

// values reads (…), (…);
func (d *dump) values(table string, columns []string, text string) error {
	for {
		text = strings.TrimLeft(text, " \n\r\t,")
		if !strings.HasPrefix(text, "(") {
			return nil
		}
		text = text[1:]
		row := litellm.Row{}
		for i := 0; ; i++ {
			value, isNull, rest, err := literal(text)
			if err != nil {
				return fmt.Errorf("a row of %s: %w", table, err)
			}
			if i >= len(columns) {
				return fmt.Errorf("a row of %s has more values than there are columns", table)
			}
			if !isNull {
				row[columns[i]] = value
			}
			text = strings.TrimLeft(rest, " \n\r\t")
			if after, ok := strings.CutPrefix(text, ")"); ok {
				text = after
				break
			}
			var ok bool
			if text, ok = strings.CutPrefix(text, ","); !ok {
				return fmt.Errorf("a row of %s does not end", table)
			}
		}
		d.tables[table] = append(d.tables[table], row)
	}
}

// literal reads one value: a quoted text, a number, a truth value, NULL, with a type behind it or without.
func literal(text string) (value string, isNull bool, rest string, err error) {
	text = strings.TrimLeft(text, " \n\r\t")
	escapes := false
	if len(text) > 1 && (text[0] == 'E' || text[0] == 'e') && text[1] == '\'' {
		text, escapes = text[1:], true
	}
	if !strings.HasPrefix(text, "'") {
		end := strings.IndexAny(text, ",)")
		if end < 0 {
			return "", false, "", errors.New("a value does not end")
		}
		value, rest = strings.TrimSpace(text[:end]), text[end:]
		value, _, _ = strings.Cut(value, "::")
		if strings.HasPrefix(value, "ARRAY[") {
			return "", false, "", errors.New("a value is written as ARRAY[…], which pg_dump does not")
		}
		return value, strings.EqualFold(value, "NULL"), rest, nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && escapes && i+1 < len(text):
			i++
			if e, ok := copyEscapes[text[i]]; ok {
				b.WriteByte(e)
			} else {
				b.WriteByte(text[i])
			}
		case c == '\'' && i+1 < len(text) && text[i+1] == '\'':
			b.WriteByte(c)
			i++
		case c == '\'':
			rest = text[i+1:]
			if strings.HasPrefix(rest, "::") {
				end := strings.IndexAny(rest, ",)")
				if end < 0 {
					return "", false, "", errors.New("a value does not end")
				}
				rest = rest[end:]
			}
			return b.String(), false, rest, nil
		default:
			b.WriteByte(c)
		}
	}
	return "", false, "", errors.New("a text does not end")
}
