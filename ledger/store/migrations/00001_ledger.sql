-- The whole ledger: what accounts may cost, what edges hold of them, and what was booked.
-- There is nothing before it, so no running code has to tolerate its absence.
-- Whoever writes locks the row of ledger_part first; that row serialises a partition, and its
-- epoch keeps a leader that has been replaced from changing anything.

-- +goose Up
CREATE TABLE ledger.ledger_part (
    part           int    PRIMARY KEY CHECK (part >= 0),
    epoch          bigint NOT NULL CHECK (epoch >= 0),            -- grows with each leader
    history        bigint NOT NULL DEFAULT 1 CHECK (history > 0), -- grows when the database was restored
    owner          text   NOT NULL DEFAULT '',
    stream         text   NOT NULL DEFAULT '',
    stream_created bigint NOT NULL DEFAULT 0,                     -- Unix nanoseconds; tells a stream from its successor
    stream_seq     bigint NOT NULL DEFAULT 0 CHECK (stream_seq >= 0)
) WITH (fillfactor = 50);

-- Accounts as the control plane publishes them, in shards that are each the whole truth.
CREATE TABLE ledger.account_shard (
    part     int    NOT NULL,
    shard    int    NOT NULL CHECK (shard >= 0),
    epoch    bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (part, shard)
);

CREATE TABLE ledger.account (
    account_id bigint  PRIMARY KEY,
    part       int     NOT NULL,
    shard      int     NOT NULL,
    gen        bigint  NOT NULL CHECK (gen >= 0),
    period     int     NOT NULL,
    time_zone  text    NOT NULL,
    lim        bigint  NOT NULL CHECK (lim >= 0),
    version    bigint  NOT NULL,
    budget_id  text    NOT NULL,
    closed     boolean NOT NULL DEFAULT false
);
CREATE INDEX account_part ON ledger.account (part, shard);

-- alloc is the sum over the leases of what was granted and not returned. A grant never takes it
-- above lim; a lim that was lowered may be below it.
CREATE TABLE ledger.account_window (
    account_id bigint  NOT NULL,
    gen        bigint  NOT NULL CHECK (gen >= 0),
    start      bigint  NOT NULL CHECK (start >= 0),
    part       int     NOT NULL,
    lim        bigint  NOT NULL CHECK (lim >= 0),
    alloc      bigint  NOT NULL DEFAULT 0 CHECK (alloc >= 0),
    overrun    bigint  NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    version    bigint  NOT NULL,
    closed     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, gen, start)
) WITH (fillfactor = 70);

CREATE TABLE ledger.incarnation (
    inc    bigint  NOT NULL CHECK (inc > 0),
    part   int     NOT NULL,
    edge   text    NOT NULL,
    closed boolean NOT NULL DEFAULT false,
    hwm    bigint  NOT NULL DEFAULT 0 CHECK (hwm >= 0), -- the last event that is booked
    PRIMARY KEY (inc, part)
) WITH (fillfactor = 50);

-- All three amounts are totals over the life of the incarnation and only ever grow.
CREATE TABLE ledger.lease (
    account_id bigint NOT NULL,
    gen        bigint NOT NULL,
    start      bigint NOT NULL,
    inc        bigint NOT NULL,
    granted    bigint NOT NULL DEFAULT 0,
    returned   bigint NOT NULL DEFAULT 0 CHECK (returned >= 0),
    consumed   bigint NOT NULL DEFAULT 0 CHECK (consumed >= 0),
    PRIMARY KEY (account_id, gen, start, inc),
    FOREIGN KEY (account_id, gen, start) REFERENCES ledger.account_window (account_id, gen, start),
    CONSTRAINT lease_normal CHECK (consumed <= granted - returned)
) WITH (fillfactor = 70);
CREATE INDEX lease_inc ON ledger.lease (inc);

CREATE TABLE ledger.usage_day (
    day         date   NOT NULL,
    key_id      text   NOT NULL,
    endpoint_id text   NOT NULL,
    part        int    NOT NULL,
    requests    bigint NOT NULL CHECK (requests >= 0),
    failed      bigint NOT NULL CHECK (failed >= 0),
    abandoned   bigint NOT NULL CHECK (abandoned >= 0),
    cost_nanos  bigint NOT NULL CHECK (cost_nanos >= 0),
    PRIMARY KEY (day, key_id, endpoint_id, part)
) WITH (fillfactor = 70);

-- What should not happen and did: somebody has to look at each row.
CREATE TABLE ledger.anomaly (
    id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT now(),
    part   int         NOT NULL,
    kind   text        NOT NULL,
    inc    bigint      NOT NULL DEFAULT 0,
    edge   text        NOT NULL DEFAULT '',
    detail text        NOT NULL
);

-- +goose Down
DROP TABLE ledger.anomaly, ledger.usage_day, ledger.lease, ledger.incarnation, ledger.account_window,
    ledger.account, ledger.account_shard, ledger.ledger_part;
