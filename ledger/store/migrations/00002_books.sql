-- A record of every settled request, usage by hour and day in every dimension, warnings, limits, and
-- what tells a database from one that was restored. A leader of the release before runs on this: what
-- it needs is still there, and what is new has a default.

-- +goose Up
-- How an incarnation fared: 0 live, 1 closed, 2 lost, 3 released. Only closed and fate are written.
ALTER TABLE ledger.incarnation
    DROP CONSTRAINT incarnation_inc_check,
    ADD CONSTRAINT incarnation_inc_check CHECK (inc >= 0), -- 0 is the ledger itself, whose events are corrections
    ADD COLUMN fate smallint NOT NULL DEFAULT 0 CHECK (fate IN (0, 2, 3)),
    ADD COLUMN state smallint NOT NULL GENERATED ALWAYS AS (CASE WHEN closed THEN 1 ELSE fate END) STORED,
    ADD COLUMN since timestamptz NOT NULL DEFAULT now(), -- when it spoke first
    ADD COLUMN heard timestamptz NOT NULL DEFAULT now(), -- when it spoke last, to some seconds
    ADD COLUMN ended timestamptz;                        -- when its last event was booked
UPDATE ledger.incarnation SET ended = now() WHERE closed;
CREATE INDEX incarnation_ended ON ledger.incarnation (part, ended) WHERE ended IS NOT NULL;

-- Incarnation 0 holds what the ledger corrected, where consumed may be negative, and what incarnations
-- had spent that ended long ago. It never holds anything unspent.
ALTER TABLE ledger.lease
    DROP CONSTRAINT lease_consumed_check,
    ADD CONSTRAINT lease_consumed_check CHECK (consumed >= 0 OR inc = 0),
    ADD CONSTRAINT lease_corrections CHECK (inc <> 0 OR consumed = granted - returned);

ALTER TABLE ledger.account
    ADD COLUMN days          int    NOT NULL DEFAULT 0 CHECK (days >= 0), -- of a rolling period
    ADD COLUMN warn_percents int[]  NOT NULL DEFAULT '{}',
    ADD COLUMN raise         bigint NOT NULL DEFAULT 0 CHECK (raise >= 0),
    ADD COLUMN raise_until   bigint NOT NULL DEFAULT 0 CHECK (raise_until >= 0); -- Unix seconds
CREATE INDEX account_window_start ON ledger.account_window (part, start);

-- The shares of a limit that were reached, once for each window.
CREATE TABLE ledger.account_warning (
    account_id bigint      NOT NULL,
    gen        bigint      NOT NULL,
    start      bigint      NOT NULL,
    percent    int         NOT NULL CHECK (percent > 0),
    part       int         NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    spent      bigint      NOT NULL,
    PRIMARY KEY (account_id, gen, start, percent)
);

-- Limits as the control plane publishes them, with the accounts of their shard.
CREATE TABLE ledger.limits (
    limit_id bigint PRIMARY KEY,
    part     int    NOT NULL,
    shard    int    NOT NULL,
    value    bytea  NOT NULL -- tollgate.event.v1.Limit
);
CREATE INDEX limits_part ON ledger.limits (part, shard);

-- Which database this was when its part had its last leader. One that answers otherwise was restored, or
-- stands in for one that failed.
ALTER TABLE ledger.ledger_part
    ADD COLUMN system_identifier bigint NOT NULL DEFAULT 0,
    ADD COLUMN timeline          bigint NOT NULL DEFAULT 0,
    ADD COLUMN led_history       bigint NOT NULL DEFAULT 0, -- history of the last leader
    -- Every record that ended then or later was kept: -infinity for all that there ever were, infinity for none.
    ADD COLUMN records_since     timestamptz NOT NULL DEFAULT 'infinity';
UPDATE ledger.ledger_part SET led_history = history;

-- One row for each settled attempt, never changed: a correction is another row. Its place in the books is
-- part, inc and seq; what keeps that unique is the mark of the incarnation, so no index has to. A day is a
-- partition, named request_20261101. What comes for a day that has none is kept in request_default.
CREATE TABLE ledger.request (
    ended         timestamptz NOT NULL,
    inc           bigint      NOT NULL,
    seq           bigint      NOT NULL,
    cost          bigint      NOT NULL,          -- nano-dollars; of a correction, the difference
    reserved      bigint      NOT NULL,          -- nano-dollars
    units         bigint      NOT NULL,
    price_version bigint      NOT NULL,
    duration_us   bigint      NOT NULL,
    corrects_inc  bigint,                        -- of a correction, the place of what it corrects, in the same part
    corrects_seq  bigint,
    part          int         NOT NULL,
    attempt       int         NOT NULL,
    status        int         NOT NULL,
    outcome       smallint    NOT NULL,          -- tollgate.event.v1.SpendOutcome
    unpriced      boolean     NOT NULL,
    request_id    bytea       NOT NULL,          -- 16 bytes, a UUID of version 7
    edge          text        COLLATE "C" NOT NULL,
    key_id        text        COLLATE "C" NOT NULL,
    endpoint_id   text        COLLATE "C" NOT NULL,
    team          text        COLLATE "C" NOT NULL,
    customer      text        COLLATE "C" NOT NULL,
    model         text        COLLATE "C" NOT NULL,
    tags          text[]      COLLATE "C",       -- null for none
    draws         bigint[]                       -- null for none; account, gen, start, part and nano-dollars of each, one after another
) PARTITION BY RANGE (ended);
-- Rows come in about this order, so it costs next to nothing to keep.
CREATE INDEX request_ended ON ledger.request (ended);
CREATE INDEX request_unpriced ON ledger.request (ended) WHERE unpriced;
CREATE INDEX request_corrects ON ledger.request (corrects_inc, corrects_seq) WHERE corrects_seq IS NOT NULL;
CREATE INDEX request_correction ON ledger.request (part, seq) WHERE inc = 0;
CREATE TABLE ledger.request_default PARTITION OF ledger.request DEFAULT;

-- A correction is kept by the part that keeps what it corrects, and changes accounts of other parts after
-- it is there: up to this one of each source, they have been changed.
CREATE TABLE ledger.correction_mark (
    part   int    NOT NULL, -- whose accounts
    source int    NOT NULL, -- that keeps the corrections
    seq    bigint NOT NULL,
    PRIMARY KEY (part, source)
);

-- What usage is kept by. A request counts in the series with its dimensions and no tag, and once more in
-- one for each of its tags.
CREATE TABLE ledger.usage_series (
    series      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    part        int    NOT NULL,
    status      int    NOT NULL,
    key_id      text   COLLATE "C" NOT NULL,
    endpoint_id text   COLLATE "C" NOT NULL,
    team        text   COLLATE "C" NOT NULL,
    customer    text   COLLATE "C" NOT NULL,
    model       text   COLLATE "C" NOT NULL,
    tag         text   COLLATE "C" NOT NULL,
    UNIQUE (part, key_id, endpoint_id, status, team, customer, model, tag)
);

-- A transaction that books requests adds their sums here, which costs little. From here they are folded, a
-- while later, into the tables below, where there is one row for each series and time.
CREATE TABLE ledger.usage_delta (
    hour       timestamptz NOT NULL,
    series     bigint      NOT NULL,
    requests   bigint      NOT NULL,
    failed     bigint      NOT NULL,
    abandoned  bigint      NOT NULL,
    unpriced   bigint      NOT NULL, -- charged a fallback and not priced since
    units      bigint      NOT NULL,
    cost_nanos bigint      NOT NULL,
    part       int         NOT NULL,
    tagged     boolean     NOT NULL  -- whether the series has a tag
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

CREATE TABLE ledger.usage_hour_sums (
    hour       timestamptz NOT NULL,
    series     bigint NOT NULL,
    requests   bigint NOT NULL,
    failed     bigint NOT NULL,
    abandoned  bigint NOT NULL,
    unpriced   bigint NOT NULL,
    units      bigint NOT NULL,
    cost_nanos bigint NOT NULL,
    PRIMARY KEY (hour, series)
) WITH (fillfactor = 70);
CREATE TABLE ledger.usage_day_sums (
    day        date NOT NULL,
    series     bigint NOT NULL,
    requests   bigint NOT NULL,
    failed     bigint NOT NULL,
    abandoned  bigint NOT NULL,
    unpriced   bigint NOT NULL,
    units      bigint NOT NULL,
    cost_nanos bigint NOT NULL,
    PRIMARY KEY (day, series)
) WITH (fillfactor = 70);
CREATE TABLE ledger.usage_tag_hour_sums (LIKE ledger.usage_hour_sums INCLUDING ALL) WITH (fillfactor = 70);
CREATE TABLE ledger.usage_tag_day_sums (LIKE ledger.usage_day_sums INCLUDING ALL) WITH (fillfactor = 70);

-- Usage as it is to be read: of series without a tag by hour and by UTC day, and of series with one. There
-- may be several rows of one time and series.
CREATE VIEW ledger.usage_by_hour AS
    SELECT u.hour, u.series, u.requests, u.failed, u.abandoned, u.unpriced, u.units, u.cost_nanos FROM ledger.usage_hour_sums u
    UNION ALL
    SELECT d.hour, d.series, d.requests, d.failed, d.abandoned, d.unpriced, d.units, d.cost_nanos
    FROM ledger.usage_delta d WHERE NOT d.tagged;
CREATE VIEW ledger.usage_by_day AS
    SELECT u.day, u.series, u.requests, u.failed, u.abandoned, u.unpriced, u.units, u.cost_nanos FROM ledger.usage_day_sums u
    UNION ALL
    SELECT (d.hour AT TIME ZONE 'UTC')::date, d.series, d.requests, d.failed, d.abandoned, d.unpriced, d.units, d.cost_nanos
    FROM ledger.usage_delta d WHERE NOT d.tagged;
CREATE VIEW ledger.usage_tag_by_hour AS
    SELECT u.hour, u.series, u.requests, u.failed, u.abandoned, u.unpriced, u.units, u.cost_nanos FROM ledger.usage_tag_hour_sums u
    UNION ALL
    SELECT d.hour, d.series, d.requests, d.failed, d.abandoned, d.unpriced, d.units, d.cost_nanos
    FROM ledger.usage_delta d WHERE d.tagged;
CREATE VIEW ledger.usage_tag_by_day AS
    SELECT u.day, u.series, u.requests, u.failed, u.abandoned, u.unpriced, u.units, u.cost_nanos FROM ledger.usage_tag_day_sums u
    UNION ALL
    SELECT (d.hour AT TIME ZONE 'UTC')::date, d.series, d.requests, d.failed, d.abandoned, d.unpriced, d.units, d.cost_nanos
    FROM ledger.usage_delta d WHERE d.tagged;

-- ledger.usage_day is what the release before adds to. Whoever leads moves its rows to usage_delta.

CREATE INDEX anomaly_at ON ledger.anomaly (at);

-- +goose Down
DROP INDEX ledger.anomaly_at, ledger.incarnation_ended, ledger.account_window_start;
DROP VIEW ledger.usage_tag_by_day, ledger.usage_tag_by_hour, ledger.usage_by_day, ledger.usage_by_hour;
DROP TABLE ledger.usage_delta, ledger.usage_tag_day_sums, ledger.usage_day_sums, ledger.usage_tag_hour_sums,
    ledger.usage_hour_sums, ledger.usage_series, ledger.correction_mark, ledger.request, ledger.limits, ledger.account_warning;
ALTER TABLE ledger.ledger_part DROP COLUMN system_identifier, DROP COLUMN timeline, DROP COLUMN led_history, DROP COLUMN records_since;
ALTER TABLE ledger.account DROP COLUMN days, DROP COLUMN warn_percents, DROP COLUMN raise, DROP COLUMN raise_until;
DELETE FROM ledger.lease WHERE inc = 0;
DELETE FROM ledger.incarnation WHERE inc = 0;
ALTER TABLE ledger.lease DROP CONSTRAINT lease_corrections, DROP CONSTRAINT lease_consumed_check,
    ADD CONSTRAINT lease_consumed_check CHECK (consumed >= 0);
ALTER TABLE ledger.incarnation DROP COLUMN state, DROP COLUMN fate, DROP COLUMN since, DROP COLUMN heard, DROP COLUMN ended,
    DROP CONSTRAINT incarnation_inc_check, ADD CONSTRAINT incarnation_inc_check CHECK (inc > 0);
