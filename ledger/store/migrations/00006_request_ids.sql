-- Where a request is. Ids begin with the time at which they were made, and records come in about the order in which requests end, so an
-- index of what ids there are in each few blocks finds one, and costs next to nothing to keep. A leader of the release before runs on this.

-- +goose Up
CREATE INDEX request_ids ON ledger.request USING brin (request_id) WITH (pages_per_range = 16, autosummarize = on);

-- +goose Down
DROP INDEX ledger.request_ids;
