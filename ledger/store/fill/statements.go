package fill

const addIncarnation = `
	INSERT INTO ledger.incarnation (inc, part, edge, closed, hwm, ended) VALUES ($1, $2, $3, true, $4, now())`

// addRecords makes records of one day in the order in which they ended. A few keys make most of them, and a few in a hundred fail.
const addRecords = `
	INSERT INTO ledger.request (ended, inc, seq, cost, reserved, units, price_version, duration_us, part, attempt, status, outcome, unpriced,
		request_id, edge, key_id, endpoint_id, team, customer, model, tags)
	SELECT w.ended, $1::bigint, $2::int + w.n, CASE WHEN w.status = 200 THEN w.units * 1000003 ELSE 0 END, w.units * 1000003, w.units, 1,
		(4000 + 30000 * -ln(1 - random()) + CASE WHEN random() < 0.02 THEN 900000 * random() ELSE 0 END)::bigint, $6::int, 1, w.status,
		CASE w.status WHEN 200 THEN 1 WHEN 0 THEN 3 ELSE 2 END, false,
		-- A version 7 id of the time at which it began.
		decode(lpad(to_hex((extract(epoch FROM w.ended) * 1000)::bigint - 40), 12, '0') || '7' || substr(md5(w.n::text || $1::text), 1, 3)
			|| '8' || substr(md5($1::text || w.n::text), 4, 15), 'hex'),
		($12::text[])[1 + w.n % cardinality($12::text[])], ($7::text[])[1 + w.k],
		($8::text[])[1 + (w.k + CASE WHEN random() < 0.9 THEN 0 ELSE (random() * 3)::int END) % cardinality($8::text[])],
		($9::text[])[1 + w.k % cardinality($9::text[])], ($10::text[])[1 + w.k % cardinality($10::text[])],
		($11::text[])[1 + (w.k / 3 + w.n % 2) % cardinality($11::text[])],
		CASE WHEN w.k % 4 = 0 THEN ARRAY['job-' || w.k % 20] END
	FROM (
		SELECT n, $4::timestamptz + (n - 0.5) / $3::int * $5::float8 * interval '1 second' AS ended,
			floor(cardinality($7::text[]) * power(random(), 2.5))::int AS k, 1 + (random() * 300)::int AS units,
			CASE WHEN n % 100 < 95 THEN 200 WHEN n % 100 < 97 THEN 429 WHEN n % 100 < 98 THEN 404 WHEN n % 100 < 99 THEN 502 ELSE 0 END AS status
		FROM generate_series(1, $3::int) n
	) w ORDER BY w.n`

// The sums of what a day's records of this filling add to usage, of series with a tag or without one.
func counted(tags bool) string {
	tag, from := "''::text", "ledger.request r"
	if tags {
		tag, from = "t.tag", "ledger.request r CROSS JOIN LATERAL unnest(r.tags) AS t (tag)"
	}
	return `SELECT r.part, date_trunc('hour', r.ended, 'UTC') AS hour, r.key_id, r.endpoint_id, r.status, r.team, r.customer, r.model, ` + tag + ` AS tag,
			count(*) AS requests, count(*) FILTER (WHERE r.cost = 0 AND r.outcome IN (2, 3)) AS failed, sum(r.units) AS units, sum(r.cost) AS cost_nanos
		FROM ` + from + ` WHERE r.inc = $1 AND r.ended >= $2 AND r.ended < $3 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9`
}

func addSeries(tags bool) string {
	return `
	INSERT INTO ledger.usage_series (part, key_id, endpoint_id, status, team, customer, model, tag)
	SELECT DISTINCT n.part, n.key_id, n.endpoint_id, n.status, n.team, n.customer, n.model, n.tag FROM (` + counted(tags) + `) n
	ON CONFLICT DO NOTHING`
}

// addSums adds to the sums by hour and by day.
func addSums(tags bool) [2]string {
	prefix := "usage_"
	if tags {
		prefix = "usage_tag_"
	}
	add := func(table, column, value string) string {
		return `
		INSERT INTO ledger.` + prefix + table + ` AS u (` + column + `, series, requests, failed, abandoned, unpriced, units, cost_nanos)
		SELECT ` + value + `, s.series, sum(n.requests), sum(n.failed), 0, 0, sum(n.units), sum(n.cost_nanos) FROM (` + counted(tags) + `) n
		JOIN ledger.usage_series s ON s.part = n.part AND s.key_id = n.key_id AND s.endpoint_id = n.endpoint_id AND s.status = n.status
			AND s.team = n.team AND s.customer = n.customer AND s.model = n.model AND s.tag = n.tag
		GROUP BY 1, 2 ORDER BY 1, 2
		ON CONFLICT (` + column + `, series) DO UPDATE SET requests = u.requests + excluded.requests, failed = u.failed + excluded.failed,
			units = u.units + excluded.units, cost_nanos = u.cost_nanos + excluded.cost_nanos`
	}
	return [2]string{add("hour_sums", "hour", "n.hour"), add("day_sums", "day", "(n.hour AT TIME ZONE 'UTC')::date")}
}
