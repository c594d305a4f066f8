package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/access"
	"tollgate/internal/id"
)

// SearchQuery says what to look for, of which kinds, and where of each.
type SearchQuery struct {
	Text  string
	Kinds map[string]access.Scope
	Limit int
}

// Found is one thing that was found.
type Found struct {
	Kind, ID, Name, Detail string
	Rank                   int // the smaller, the better
}

// Ranks of what was found.
const (
	rankID        = iota // the identifier itself
	rankName             // the name itself
	rankSuffix           // the last four characters of a secret, or the beginning of an identifier
	rankBeginning        // the beginning of the name
	rankAlias            // another name of it, or its path
	rankPart             // a part of the name
)

// searchable is a kind of object as it is searched.
type searchable struct {
	kind   string
	prefix id.Prefix // of its identifiers; empty for objects that are known by their name alone
	from   string    // FROM …, in which x is the object
	name   string    // column in collation C, of an index
	detail string
	lower  bool   // names have no capital letters
	team   string // SQL that holds if it belongs to one of the teams in $1; empty for nothing that a team has
	suffix string // SQL that holds if the last four characters are $1
	alias  string // SQL that holds for a pattern in $1
	many   bool   // there may be very many, and an index of the parts of their names
}

var searchables = []searchable{
	{
		kind: "endpoint", prefix: id.Endpoint, from: `control.endpoint x`, name: `x.name`, lower: true,
		detail: `x.path || ' → ' || x.targets[1]`, alias: `x.path LIKE $1`,
	},
	{
		kind: "model", prefix: id.Model, from: `control.model x`, name: `x.name`,
		detail: `coalesce((SELECT string_agg(n.name, ', ' ORDER BY n.name) FROM control.model_name n WHERE n.model_id = x.id AND n.name <> x.name), '')`,
		alias:  `x.id IN (SELECT n.model_id FROM control.model_name n WHERE lower(n.name) LIKE $1)`,
	},
	{kind: "adapter", prefix: id.Adapter, from: `control.adapter x`, name: `x.name`, lower: true, detail: `coalesce(x.settings->'target'->>'url', '')`},
	{
		kind: "key", prefix: id.Key, from: `control.key x`, name: `x.name`, lower: true, many: true,
		detail: `concat_ws(' · ', CASE WHEN x.suffix <> '' THEN '…' || x.suffix END, (SELECT t.name FROM control.team t WHERE t.id = x.team_id),
			CASE WHEN x.revoke_time IS NOT NULL THEN 'revoked' WHEN x.blocked THEN 'blocked' END)`,
		team:   `x.team_id = ANY($1)`,
		suffix: `x.id IN (SELECT k.id FROM control.key k WHERE k.suffix = $1 AND k.suffix <> '' UNION SELECT o.key_id FROM control.key_old_secret o WHERE o.suffix = $1)`,
	},
	{kind: "team", prefix: id.Team, from: `control.team x`, name: `x.name`, lower: true, detail: `x.description`, team: `x.id = ANY($1)`},
	{kind: "customer", from: `control.customer x`, name: `x.name`, detail: `x.display_name`, alias: `lower(x.display_name) LIKE $1`},
	{kind: "tag", from: `control.tag x`, name: `x.name`, detail: `x.description`},
	{
		kind: "budget", prefix: id.Budget, from: `control.budget x`, name: `x.name`, lower: true, detail: searchedScope,
		team: searchedTeam,
	},
	{
		kind: "limit", prefix: id.Limit, from: `control.traffic_limit x`, name: `x.name`, lower: true, detail: searchedScope,
		team: searchedTeam,
	},
	{kind: "secret", prefix: id.Secret, from: `control.secret x`, name: `x.name`, lower: true, detail: `concat_ws(' · ', nullif(x.reference, ''), nullif(x.description, ''))`},
	{kind: "person", prefix: id.Person, from: `control.person x`, name: `x.email`, lower: true, detail: `x.name`, alias: `lower(x.name) LIKE $1`},
	{kind: "token", prefix: id.Token, from: `control.token x`, name: `x.name`, detail: `'…' || x.suffix`, suffix: `x.suffix = $1`},
}

// What budgets and limits are of.
const (
	searchedScope = `CASE WHEN x.key_id IS NOT NULL THEN 'key ' || (SELECT k.name FROM control.key k WHERE k.id = x.key_id)
		WHEN x.team_id IS NOT NULL THEN 'team ' || (SELECT t.name FROM control.team t WHERE t.id = x.team_id)
		WHEN x.customer IS NOT NULL THEN 'customer ' || x.customer WHEN x.tag IS NOT NULL THEN 'tag ' || x.tag
		WHEN x.endpoint_id IS NOT NULL THEN 'endpoint ' || (SELECT e.name FROM control.endpoint e WHERE e.id = x.endpoint_id) ELSE 'everything' END`
	searchedTeam = `(x.team_id = ANY($1) OR x.key_id IN (SELECT k.id FROM control.key k WHERE k.team_id = ANY($1)))`
)

// statement finds up to as many as $2 says, by a condition in which $1 is its parameter. Which they are is found out before anything
// else of them is read. An order among very many would make the database go through an index from its beginning, so that parts of
// names are ordered only among the first that are met.
func (s *searchable) statement(rank int, condition string, argument any, scope access.Scope, limit int) (string, []any) {
	key := `x.id`
	if s.prefix == "" {
		key = s.name
	}
	args := []any{argument, limit}
	if !scope.Everywhere {
		condition += ` AND ` + strings.ReplaceAll(s.team, "$1", "$3")
		args = append(args, scope.Teams)
	}
	most := `ORDER BY ` + s.name + ` LIMIT $2`
	if rank == rankPart {
		most = fmt.Sprint(`LIMIT `, mostMet)
	}
	return fmt.Sprintf(`
		WITH met AS MATERIALIZED (SELECT %s AS name FROM %s WHERE %s %s)
		SELECT '%s', %s, %s, %s, %d FROM %s JOIN met ON met.name = %s ORDER BY met.name LIMIT $2`,
		s.name, s.from, condition, most, s.kind, key, s.name, s.detail, rank, s.from, s.name), args
}

// mostMet is how many of those that have a text in their name are put in order.
const mostMet = 200

// lowered is the name as it is compared with a pattern in lower case.
func (s *searchable) lowered() string {
	if s.lower {
		return s.name
	}
	return `lower(` + s.name + `)`
}

// Search finds objects by identifier, name, path and last four characters, the best first.
func (s *Store) Search(ctx context.Context, q SearchQuery) ([]Found, error) {
	text := strings.TrimSpace(q.Text)
	if text == "" || strings.ContainsRune(text, 0) {
		return nil, nil
	}
	var all []Found
	for _, build := range []func(*pgx.Batch, string, *SearchQuery){searchNearly, searchParts} {
		var b pgx.Batch
		build(&b, text, &q)
		found, err := s.found(ctx, &b)
		if err != nil {
			return nil, translate(err)
		}
		all = distinct(append(all, found...))
		if len(all) >= q.Limit {
			return all[:q.Limit], nil
		}
	}
	return all, nil
}

// searchNearly asks for what indexes find.
func searchNearly(b *pgx.Batch, text string, q *SearchQuery) {
	lower := strings.ToLower(text)
	for i := range searchables {
		s := &searchables[i]
		scope, ok := q.Kinds[s.kind]
		if !ok || !scope.Everywhere && (s.team == "" || len(scope.Teams) == 0) {
			continue
		}
		ask := func(rank int, condition string, argument any) {
			sql, args := s.statement(rank, condition, argument, scope, q.Limit)
			b.Queue(sql, args...)
		}
		if s.prefix != "" {
			if id.Is(s.prefix, lower) {
				ask(rankID, `x.id = $1`, lower)
				continue // nothing is named so
			}
			if rest, ok := strings.CutPrefix(lower, string(s.prefix)+"_"); ok && rest != "" && !strings.ContainsFunc(rest, notOfID) {
				// Between these are those that begin so, whatever the collation.
				ask(rankSuffix, `x.id >= $1 AND x.id <= $1 || 'zzzzzzzzzzzzzzzzzzzzzzzzzz' AND starts_with(x.id, $1)`, lower)
			}
		}
		ask(rankName, s.name+` = $1`, text)
		beginning := text
		if s.lower {
			beginning = lower
		}
		ask(rankBeginning, s.name+` >= $1 AND `+s.name+` < $1 || chr(1114111) AND starts_with(`+s.name+`, $1)`, beginning)
		if s.suffix != "" && len(text) == 4 {
			ask(rankSuffix, s.suffix, text)
		}
		if s.alias != "" {
			ask(rankAlias, s.alias, pattern(lower)+`%`)
		}
	}
}

func notOfID(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z') }

// partsOfPattern are the parts of the text whose pattern is $1. The index knows them.
const partsOfPattern = `control.parts(replace(substr($1, 2, length($1) - 2), '\', ''))`

// searchParts asks for what has the text in the middle, for which names are gone through.
func searchParts(b *pgx.Batch, text string, q *SearchQuery) {
	within := contains(text)
	for i := range searchables {
		s := &searchables[i]
		scope, ok := q.Kinds[s.kind]
		if !ok || !scope.Everywhere && (s.team == "" || len(scope.Teams) == 0) || s.prefix != "" && id.Is(s.prefix, text) {
			continue
		}
		named := s.lowered() + ` LIKE $1`
		if s.many && utf8.RuneCountInString(text) >= 3 && !strings.Contains(text, `\`) {
			named = `control.parts(` + s.name + `) @> ` + partsOfPattern + ` AND ` + named
		}
		conditions := []string{named}
		if s.alias != "" {
			conditions = append(conditions, s.alias)
		}
		sql, args := s.statement(rankPart, `(`+strings.Join(conditions, ` OR `)+`)`, within, scope, q.Limit)
		b.Queue(sql, args...)
	}
}

// pattern makes text stand for itself in LIKE.
func pattern(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

func (s *Store) found(ctx context.Context, b *pgx.Batch) (all []Found, err error) {
	if b.Len() == 0 {
		return nil, nil
	}
	results := s.pool.SendBatch(ctx, b)
	defer func() { _ = results.Close() }()
	for range b.Len() {
		rows, err := results.Query()
		if err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		some, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Found])
		if err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// distinct sorts by rank, kind and name, and keeps the best of each object.
func distinct(all []Found) []Found {
	slices.SortFunc(all, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(kindOrder(a.Kind), kindOrder(b.Kind)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	seen := map[[2]string]bool{}
	return slices.DeleteFunc(all, func(f Found) bool {
		at := [2]string{f.Kind, f.ID}
		again := seen[at]
		seen[at] = true
		return again
	})
}

func kindOrder(kind string) int {
	return slices.IndexFunc(searchables, func(s searchable) bool { return s.kind == kind })
}

// SearchKinds are the kinds that Search knows.
func SearchKinds() []string {
	kinds := make([]string, len(searchables))
	for i := range searchables {
		kinds[i] = searchables[i].kind
	}
	return kinds
}
