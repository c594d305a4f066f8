-- What Tollgate forwards, who may call it and what it may cost: the whole configuration, with the
-- outbox that the publisher empties. There is no state before this one.

-- +goose Up

-- One row. Every change locks it first, so changes are serial and revisions commit in order:
-- whoever reads revision n sees every change up to n.
CREATE TABLE control.revision (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch bigint NOT NULL CHECK (epoch > 0),  -- grows when the database was restored
    n     bigint NOT NULL CHECK (n >= 0)
);
INSERT INTO control.revision (epoch, n) VALUES (1, 0);

-- One row: what the stream has. It is not part of control.revision, so that publishing never waits
-- for a change, nor a change for publishing.
CREATE TABLE control.published (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch bigint NOT NULL CHECK (epoch >= 0),
    n     bigint NOT NULL CHECK (n >= 0)
);
INSERT INTO control.published (epoch, n) VALUES (0, 0);

-- Subjects whose value has changed since it was published, and by which revision last.
CREATE TABLE control.dirty (
    subject  text PRIMARY KEY,
    revision bigint NOT NULL CHECK (revision > 0)
);

-- That no two endpoints answer the same requests equally well is checked by the registry, under the
-- lock of control.revision: sets of methods that overlap are beyond a unique index.
CREATE TABLE control.endpoint (
    id                    text PRIMARY KEY,
    name                  text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    path                  text COLLATE "C" NOT NULL CHECK (path LIKE '/%'),
    exact                 boolean NOT NULL,
    methods               text[] NOT NULL,
    targets               text[] NOT NULL CHECK (cardinality(targets) > 0),
    headers               jsonb NOT NULL CHECK (jsonb_typeof(headers) = 'array'),
    forward               smallint NOT NULL CHECK (forward BETWEEN 1 AND 3),
    key_header            text NOT NULL,
    free                  boolean NOT NULL,
    price_nanos           bigint NOT NULL CHECK (price_nanos >= 0),
    price_version         bigint NOT NULL CHECK (price_version > 0),
    timeout_ms            bigint NOT NULL CHECK (timeout_ms > 0),
    max_body_bytes        bigint NOT NULL CHECK (max_body_bytes >= 0),
    forward_trace_context boolean NOT NULL,
    revision              bigint NOT NULL CHECK (revision > 0),
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    CHECK (NOT free OR price_nanos = 0)
);
CREATE INDEX endpoint_path ON control.endpoint (path);

-- Values are envelopes: without the master key nothing in this table can be read.
CREATE TABLE control.secret (
    id          text PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    envelope    bytea NOT NULL CHECK (length(envelope) > 0),
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL
);

-- Which endpoints' headers refer to which secrets. The reference holds the secret.
CREATE TABLE control.endpoint_secret (
    endpoint_id text NOT NULL REFERENCES control.endpoint (id),
    secret_id   text NOT NULL REFERENCES control.secret (id),
    PRIMARY KEY (endpoint_id, secret_id)
);
CREATE INDEX endpoint_secret_secret ON control.endpoint_secret (secret_id);

-- Keys are never deleted: a revoked one keeps its name and its hash, so that neither comes back to
-- life as something else.
CREATE TABLE control.key (
    id          text PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    prefix      text NOT NULL,
    sha256      bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    shard       integer NOT NULL CHECK (shard BETWEEN 0 AND 1023),
    restricted  boolean NOT NULL,
    expire_time timestamptz,
    revoke_time timestamptz,
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL
);
CREATE INDEX key_shard ON control.key (shard);

-- The endpoints of restricted keys.
CREATE TABLE control.key_endpoint (
    key_id      text NOT NULL REFERENCES control.key (id),
    endpoint_id text NOT NULL REFERENCES control.endpoint (id),
    PRIMARY KEY (key_id, endpoint_id)
);
CREATE INDEX key_endpoint_endpoint ON control.key_endpoint (endpoint_id);

-- A budget limits a key, an endpoint or, with neither, everything. The ledger knows it by its
-- account_id, which is never used again.
CREATE TABLE control.budget (
    id           text PRIMARY KEY,
    name         text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    key_id       text REFERENCES control.key (id),
    endpoint_id  text REFERENCES control.endpoint (id),
    amount_nanos bigint NOT NULL CHECK (amount_nanos >= 0),
    period       smallint NOT NULL CHECK (period BETWEEN 1 AND 5),
    time_zone    text NOT NULL CHECK (time_zone <> ''),
    account_id   bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    gen          integer NOT NULL CHECK (gen >= 0),
    revision     bigint NOT NULL CHECK (revision > 0),
    create_time  timestamptz NOT NULL,
    update_time  timestamptz NOT NULL,
    CHECK (num_nonnulls(key_id, endpoint_id) <= 1),
    CONSTRAINT budget_scope_period UNIQUE NULLS NOT DISTINCT (key_id, endpoint_id, period)
);
CREATE INDEX budget_endpoint ON control.budget (endpoint_id);
CREATE INDEX budget_shard ON control.budget ((account_id % 64));

-- Who changed what. Before and after hold no credential and no key.
CREATE TABLE control.audit (
    id        text PRIMARY KEY,
    at        timestamptz NOT NULL,
    actor     text NOT NULL CHECK (actor <> ''),
    action    text NOT NULL,
    kind      text NOT NULL,
    object_id text NOT NULL,
    revision  bigint NOT NULL,
    before    jsonb,
    after     jsonb
);
