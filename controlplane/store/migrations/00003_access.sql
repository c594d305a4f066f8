-- Endpoints that anybody may call; query parameters, credentials that take turns, and how edges connect
-- to targets, choose among them and act when they fail.

-- +goose Up

-- The numbers and the forms of JSON are those of package registry. Defaults are what endpoints did before.
ALTER TABLE control.endpoint
    ADD COLUMN public             jsonb CHECK (jsonb_typeof(public) = 'object'), -- NULL: callers need a key
    ADD COLUMN target_settings    jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(target_settings) = 'array'), -- beside the URLs in targets, in their order
    ADD COLUMN balance            smallint NOT NULL DEFAULT 1 CHECK (balance BETWEEN 1 AND 3),
    ADD COLUMN query              jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(query) = 'array'),
    ADD COLUMN host               smallint NOT NULL DEFAULT 1 CHECK (host BETWEEN 1 AND 3),
    ADD COLUMN host_text          text NOT NULL DEFAULT '',
    ADD COLUMN credentials        jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(credentials) = 'array'),
    ADD COLUMN credential_balance smallint NOT NULL DEFAULT 1 CHECK (credential_balance BETWEEN 1 AND 3),
    ADD COLUMN pass_headers       boolean NOT NULL DEFAULT false,
    ADD COLUMN connect_timeout_ms bigint NOT NULL DEFAULT 0 CHECK (connect_timeout_ms >= 0), -- 0: the edge's own
    ADD COLUMN idle_timeout_ms    bigint NOT NULL DEFAULT 0 CHECK (idle_timeout_ms >= 0),    -- 0: the edge's own
    ADD COLUMN total_timeout_ms   bigint NOT NULL DEFAULT 0 CHECK (total_timeout_ms >= 0),   -- 0: none
    ADD COLUMN resilience         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(resilience) = 'object'),
    ADD CHECK ((host = 3) = (host_text <> ''));

-- A limit that bounds a public endpoint belongs to it, and comes and goes with it.
ALTER TABLE control.traffic_limit
    ADD COLUMN owner_id text UNIQUE REFERENCES control.endpoint (id),
    ADD CHECK (owner_id IS NULL OR owner_id = endpoint_id AND kind = 1);
