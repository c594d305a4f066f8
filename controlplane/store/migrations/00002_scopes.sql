-- Budgets and limits on teams, customers and tags; budgets that roll, that only warn, and that are
-- raised for a while; prices by what a request uses.

-- +goose Up

CREATE TABLE control.team (
    id          text PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL
);

-- Whom a key's requests are charged to. Customers and tags are names that exist as soon as somebody
-- uses them.
ALTER TABLE control.key
    ADD COLUMN team_id  text REFERENCES control.team (id),
    ADD COLUMN customer text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN tags     text[] COLLATE "C" NOT NULL DEFAULT '{}';
CREATE INDEX key_team ON control.key (team_id) WHERE team_id IS NOT NULL;
CREATE INDEX key_customer ON control.key (customer) WHERE customer <> '';
CREATE INDEX key_tags ON control.key USING gin (tags) WHERE tags <> '{}';

-- What a request is charged that was in flight when its edge died, and the price by what it uses, in
-- nano-dollars, in the form of registry.Usage.
ALTER TABLE control.endpoint
    ADD COLUMN abandoned smallint NOT NULL DEFAULT 1 CHECK (abandoned BETWEEN 1 AND 3),
    ADD COLUMN usage     jsonb CHECK (jsonb_typeof(usage) = 'object'),
    ADD CHECK (usage IS NULL OR NOT free AND price_nanos = 0);

-- A budget limits one thing or, with none of the columns set, everything.
ALTER TABLE control.budget
    ADD COLUMN team_id         text REFERENCES control.team (id),
    ADD COLUMN customer        text COLLATE "C" CHECK (customer <> ''),
    ADD COLUMN tag             text COLLATE "C" CHECK (tag <> ''),
    ADD COLUMN days            integer NOT NULL DEFAULT 0, -- that a rolling one covers
    ADD COLUMN soft            boolean NOT NULL DEFAULT false,
    ADD COLUMN overdraft_nanos bigint NOT NULL DEFAULT 0 CHECK (overdraft_nanos >= 0),
    ADD COLUMN warn_percents   integer[] NOT NULL DEFAULT '{}',
    ADD COLUMN raise_nanos     bigint NOT NULL DEFAULT 0 CHECK (raise_nanos >= 0),
    ADD COLUMN raise_until     timestamptz,
    DROP CONSTRAINT budget_period_check,
    ADD CONSTRAINT budget_period_check CHECK (period BETWEEN 1 AND 6),
    ADD CHECK (days BETWEEN 2 AND 366 AND period = 6 OR days = 0 AND period <> 6),
    ADD CHECK (soft OR overdraft_nanos = 0),
    ADD CHECK ((raise_until IS NULL) = (raise_nanos = 0)),
    DROP CONSTRAINT budget_check,
    ADD CONSTRAINT budget_scope CHECK (num_nonnulls(key_id, team_id, customer, tag, endpoint_id) <= 1),
    DROP CONSTRAINT budget_scope_period,
    ADD CONSTRAINT budget_scope_period UNIQUE NULLS NOT DISTINCT (key_id, team_id, customer, tag, endpoint_id, period, days);
CREATE INDEX budget_team ON control.budget (team_id) WHERE team_id IS NOT NULL;
CREATE INDEX budget_customer ON control.budget (customer) WHERE customer IS NOT NULL;
CREATE INDEX budget_tag ON control.budget (tag) WHERE tag IS NOT NULL;

-- How fast requests come, or how many run. The ledger knows a limit by its number, which is never used
-- again and has nothing to do with the numbers of accounts.
CREATE TABLE control.traffic_limit (
    id          text PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    key_id      text REFERENCES control.key (id),
    team_id     text REFERENCES control.team (id),
    customer    text COLLATE "C" CHECK (customer <> ''),
    tag         text COLLATE "C" CHECK (tag <> ''),
    endpoint_id text REFERENCES control.endpoint (id),
    kind        smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),
    amount      bigint NOT NULL CHECK (amount >= 0),
    burst       bigint NOT NULL CHECK (burst >= 0), -- 0: what follows from the amount
    fallback    smallint NOT NULL CHECK (fallback BETWEEN 1 AND 3),
    number      bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    CHECK (kind <> 3 OR burst = 0),
    CONSTRAINT traffic_limit_scope CHECK (num_nonnulls(key_id, team_id, customer, tag, endpoint_id) <= 1),
    CONSTRAINT traffic_limit_scope_kind UNIQUE NULLS NOT DISTINCT (key_id, team_id, customer, tag, endpoint_id, kind)
);
CREATE INDEX traffic_limit_team ON control.traffic_limit (team_id) WHERE team_id IS NOT NULL;
CREATE INDEX traffic_limit_customer ON control.traffic_limit (customer) WHERE customer IS NOT NULL;
CREATE INDEX traffic_limit_tag ON control.traffic_limit (tag) WHERE tag IS NOT NULL;
CREATE INDEX traffic_limit_endpoint ON control.traffic_limit (endpoint_id) WHERE endpoint_id IS NOT NULL;
CREATE INDEX traffic_limit_shard ON control.traffic_limit ((number % 64));
