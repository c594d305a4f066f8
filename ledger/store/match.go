package store

import (
	"fmt"

	"tollgate/ledger/usage"
)

// matchColumns are the columns by which records and series are selected, which have the same names in both.
var matchColumns = map[usage.Dimension]string{
	usage.ByKey: "key_id", usage.ByEndpoint: "endpoint_id", usage.ByTeam: "team", usage.ByCustomer: "customer",
	usage.ByModel: "model", usage.ByEdge: "edge", usage.ByTag: "tag", usage.ByStatus: "status", usage.ByStatusClass: "status",
}

// matchSQL is the condition of a match on a table, of which tagList says that it has all tags of a row in one column.
func matchSQL(table string, tagList bool, m usage.Match, args []any) (string, []any) {
	column := table + "." + matchColumns[m.Of]
	var sql string
	switch {
	case m.Of == usage.ByStatus || m.Of == usage.ByStatusClass:
		statuses, classes := []int32{}, []int32{} // none is not null
		for _, v := range m.Values {
			if n, class, _ := usage.StatusOf(v); class {
				classes = append(classes, int32(n))
			} else {
				statuses = append(statuses, int32(n))
			}
		}
		args = append(args, statuses, classes)
		sql = fmt.Sprintf("(%s = ANY($%d::int[]) OR %s / 100 = ANY($%d::int[]))", column, len(args)-1, column, len(args))
	case m.Of == usage.ByTag && tagList:
		args = append(args, m.Values)
		sql = fmt.Sprintf(`coalesce(%s.tags, '{""}') && $%d::text[] COLLATE "C"`, table, len(args))
	default:
		args = append(args, m.Values)
		sql = fmt.Sprintf("%s = ANY($%d::text[])", column, len(args))
	}
	if m.Not {
		sql = "NOT " + sql
	}
	return sql, args
}
