package pricebook

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

const (
	mostBytes = 64 << 20 // of a file, when it is no longer compressed
	mostRows  = 100_000
)

// Parse reads a file, which may be compressed with gzip. Which of the three formats it has is seen from what it
// holds. day is the one whose prices count where a file knows several, "2026-08-06".
//
// A file that cannot be read whole gives an error that names what is wrong with it. Rows of other people's files
// that have no meaning here are left out, with a reason.
func Parse(file []byte, day string) (*Book, error) {
	text, err := unpack(file)
	if err != nil {
		return nil, err
	}
	var b *Book
	switch first := bytes.TrimLeft(text, " \t\r\n"); {
	case bytes.HasPrefix(first, []byte("[")):
		b, err = parseGenAI(text, day)
	case bytes.HasPrefix(first, []byte("{")):
		b, err = parseObject(text)
	default:
		return nil, refuse("The file is not JSON: it begins with neither { nor [.")
	}
	if err != nil {
		return nil, err
	}
	switch n := len(b.Rows); {
	case n == 0:
		return nil, refuse("The file has no row with a price.")
	case n > mostRows:
		return nil, refuse("The file has %d rows; a book has at most %d.", n, mostRows)
	}
	slices.SortFunc(b.Rows, byID)
	return b, nil
}

func parseObject(text []byte) (*Book, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return nil, refuse("The file is not valid JSON: %s.", err)
	}
	if _, ours := parts["tollgate_price_book"]; ours {
		return parseOwn(text)
	}
	return parseLiteLLM(parts)
}

// refuse is an error about the file as a whole.
func refuse(reason string, args ...any) error {
	p := registry.NewProblems("file")
	p.Add("", registry.Malformed, reason, args...)
	return p.Err("the file")
}

// unpack takes the compression off.
func unpack(file []byte) ([]byte, error) {
	if !bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
		return file, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, refuse("The file cannot be decompressed: %s.", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, mostBytes+1))
	if err != nil {
		return nil, refuse("The file cannot be decompressed: %s.", err)
	}
	if len(text) > mostBytes {
		return nil, refuse("The file has more than %d MiB when it is decompressed.", mostBytes>>20)
	}
	return text, nil
}

// own is Tollgate's format. Unknown fields are mistakes.
type own struct {
	Version int64               `json:"tollgate_price_book"`
	Source  string              `json:"source"`
	Date    string              `json:"date"`
	Licence string              `json:"licence"`
	Lists   map[string][]ownRow `json:"lists"`
}

type ownRow struct {
	Model string    `json:"model"`
	Rates []ownRate `json:"rates"`
}

type ownRate struct {
	Unit    string `json:"unit"`
	Price   string `json:"price"`
	Per     int64  `json:"per"`
	Above   int64  `json:"above"`
	Variant string `json:"variant"`
}

func parseOwn(text []byte) (*Book, error) {
	var f own
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, refuse("The file is not a price book of Tollgate: %s. Prices are decimals in quotes, per and above are whole numbers.", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse("Something follows after the end of the price book.")
	}
	if f.Version != 1 {
		return nil, refuse("The file is of version %d of the format; this version of Tollgate reads version 1.", f.Version)
	}
	p := registry.NewProblems("file")
	if f.Date != "" && !dateForm.MatchString(f.Date) {
		p.Add("date", registry.Malformed, "%q is no date such as 2026-08-06.", clip(f.Date))
	}
	for name, text := range map[string]string{"source": f.Source, "licence": f.Licence} {
		if len(text) > 1024 {
			p.Add(name, registry.Range, "It has more than 1024 bytes.")
		}
	}
	b := &Book{Source: f.Source, Date: f.Date, Licence: f.Licence}
	seen := map[rowID]string{}
	for _, list := range slices.Sorted(maps.Keys(f.Lists)) {
		CheckList(p, "lists", list)
		for i, row := range f.Lists[list] {
			at := fmt.Sprintf("lists.%s[%d]", clip(list), i)
			price := row.message()
			Check(p, at, price)
			r := Row{list, Normalize(price)}
			if first, ok := seen[r.id()]; ok {
				p.Add(at+".model", registry.Duplicate, "The model %s is in %s already.", clip(row.Model), first)
			}
			seen[r.id()] = at
			b.Rows = append(b.Rows, r)
		}
	}
	return b, p.Err("the file")
}

func (r ownRow) message() *controlv1.ModelPrice {
	out := &controlv1.ModelPrice{Model: r.Model}
	for _, rate := range r.Rates {
		out.Rates = append(out.Rates, &controlv1.UnitPrice{Unit: rate.Unit, Price: rate.Price, Per: rate.Per, Above: rate.Above, Variant: rate.Variant})
	}
	return out
}
