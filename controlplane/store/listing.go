package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/filter"
	"tollgate/internal/fault"
)

// ListQuery asks for a page of what a filter lets through, in an order.
type ListQuery struct {
	Page

	Filter  string // in the language of package filter
	OrderBy string // a field, with "-" before it for the other way round; empty for the list's own
}

// listing says how a list is read: which statement, and what its fields and orders are in SQL.
type listing[T any] struct {
	list   *filter.List
	what   string // for errors: "keys"
	sql    string // SELECT … FROM …, to which WHERE is added
	scan   pgx.RowToFunc[T]
	words  []string // columns that a word is looked for in; all of them have lower-case text only, or are lower(…)
	fields map[string]condition
	orders map[string]ordering[T]
	unique string // column that tells any two apart, by which those are ordered that are equal
	ident  func(*T) string
}

// condition makes SQL that holds if one of the values is the field's. Values become parameters.
type condition func(a *arguments, values []string) string

// ordering is a column to order by, never NULL.
type ordering[T any] struct {
	column string
	cast   string // type of the column, "text" or "timestamptz"
	at     func(*T) string
}

// arguments are the parameters of a statement.
type arguments struct{ all []any }

// add makes a parameter of v.
func (a *arguments) add(v any) string {
	a.all = append(a.all, v)
	return "$" + strconv.Itoa(len(a.all))
}

// anyOf holds if the column has one of the values.
func anyOf(column string) condition {
	return func(a *arguments, values []string) string { return column + ` = ANY(` + a.add(values) + `::text[])` }
}

// yesOrNo holds if what SQL says is so, for "yes", or is not, for "no".
func yesOrNo(sql string) condition {
	return func(a *arguments, values []string) string {
		return `(CASE WHEN ` + sql + ` THEN 'yes' ELSE 'no' END) = ANY(` + a.add(values) + `::text[])`
	}
}

// managed says whether a file manages it.
func managed(kind, idColumn string) condition {
	return yesOrNo(`EXISTS (SELECT FROM control.managed m WHERE m.kind = '` + kind + `' AND m.object_id = ` + idColumn + `)`)
}

// contains is a pattern for LIKE that fits every text with the word in it.
func contains(word string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(word)) + "%"
}

// where makes conditions of a query.
func (l *listing[T]) where(a *arguments, q filter.Query) ([]string, error) {
	if err := q.Check(l.list); err != nil {
		return nil, err
	}
	var all []string
	for _, t := range q {
		var sql string
		if t.Field == "" {
			pattern := a.add(contains(t.Values[0]))
			places := make([]string, len(l.words))
			for i, column := range l.words {
				places[i] = column + ` LIKE ` + pattern
			}
			sql = strings.Join(places, ` OR `)
		} else {
			of, ok := l.fields[t.Field]
			if !ok {
				return nil, fmt.Errorf("list of %s does not know how to filter by %s", l.what, t.Field)
			}
			sql = of(a, t.Values)
		}
		if t.Not {
			sql = `NOT coalesce((` + sql + `), false)`
		}
		all = append(all, `(`+sql+`)`)
	}
	return all, nil
}

// position is where a page ends. It is of use only with the filter and the order that it comes from.
type position struct {
	List  string `json:"l"`
	Asked []byte `json:"q"` // digest of filter and order
	At    string `json:"a"`
	Tie   string `json:"t"`
}

func asked(q *ListQuery) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", q.Filter, q.OrderBy))
	return sum[:9]
}

// open reads the token of a page; nil for the first one.
func (l *listing[T]) open(q *ListQuery) (*position, error) {
	if q.Token == "" {
		return nil, nil
	}
	var p position
	raw, err := base64.RawURLEncoding.DecodeString(q.Token)
	if err != nil || json.Unmarshal(raw, &p) != nil || p.List != l.what || strings.ContainsRune(p.At+p.Tie, 0) {
		return nil, BadToken()
	}
	if string(p.Asked) != string(asked(q)) {
		const reason = "The page token belongs to a list with another filter or order: ask for the first page again."
		return nil, fault.New(fault.InvalidArgument, reason).
			WithViolations(fault.Violation{Field: "page_token", Code: "invalid", Reason: reason})
	}
	return &p, nil
}

// read reads a page. Further conditions narrow the list, whatever the filter says.
func (l *listing[T]) read(ctx context.Context, db querier, q ListQuery, further ...func(*arguments) string) ([]T, string, error) {
	order, descending, err := l.list.Order(q.OrderBy)
	if err != nil {
		return nil, "", err
	}
	by, ok := l.orders[order]
	if !ok {
		return nil, "", fmt.Errorf("list of %s does not know how to order by %s", l.what, order)
	}
	query, err := filter.Parse(q.Filter)
	if err != nil {
		return nil, "", err
	}
	from, err := l.open(&q)
	if err != nil {
		return nil, "", err
	}
	var a arguments
	conditions, err := l.where(&a, query)
	if err != nil {
		return nil, "", err
	}
	for _, f := range further {
		conditions = append(conditions, f(&a))
	}
	direction, after := ``, ` > `
	if descending {
		direction, after = ` DESC`, ` < `
	}
	if from != nil {
		if by.cast == timestamp && from.At != never {
			if _, err := time.Parse(time.RFC3339Nano, from.At); err != nil {
				return nil, "", BadToken()
			}
		}
		conditions = append(conditions, `(`+by.column+`, `+l.unique+`)`+after+`(`+a.add(from.At)+`::text::`+by.cast+`, `+a.add(from.Tie)+`)`)
	}
	sql := l.sql
	if len(conditions) > 0 {
		sql += ` WHERE ` + strings.Join(conditions, ` AND `)
	}
	sql += ` ORDER BY ` + by.column + direction + `, ` + l.unique + direction + ` LIMIT ` + a.add(PageSize(q.Size)+1)
	rows, err := list(ctx, db, l.what, l.scan, sql, a.all...)
	if err != nil {
		return nil, "", translate(err)
	}
	size := PageSize(q.Size)
	if len(rows) <= size {
		return rows, "", nil
	}
	rows = rows[:size]
	last := &rows[size-1]
	token, err := json.Marshal(position{List: l.what, Asked: asked(&q), At: by.at(last), Tie: l.ident(last)})
	if err != nil {
		return nil, "", err
	}
	return rows, base64.RawURLEncoding.EncodeToString(token), nil
}

const (
	timestamp = "timestamptz"
	never     = "infinity" // of a time that is not set
)

// byTime orders by a time; never comes last.
func byTime[T any](column string, at func(*T) time.Time) ordering[T] {
	return ordering[T]{column: column, cast: timestamp, at: func(v *T) string {
		if t := at(v); !t.IsZero() {
			return t.UTC().Format(time.RFC3339Nano)
		}
		return never
	}}
}

// byText orders by a text in the collation of its column.
func byText[T any](column string, at func(*T) string) ordering[T] {
	return ordering[T]{column: column, cast: "text", at: at}
}
