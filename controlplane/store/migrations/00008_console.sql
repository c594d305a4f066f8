-- What the console keeps and what alerts need. A version before this one goes on working with this schema: all of it is new tables,
-- which it does not know.

-- +goose Up

-- Who does not want to see the first steps any more: ids of people, and names of tokens as the audit has them.
CREATE TABLE control.first_steps_dismissed (
    who  text COLLATE "C" PRIMARY KEY,
    time timestamptz NOT NULL
);

-- What needs somebody, as long as it lasts and a while after, so that its beginning and its end are told once.
CREATE TABLE control.condition (
    id          text COLLATE "C" PRIMARY KEY,
    kind        text NOT NULL,
    severity    smallint NOT NULL,
    object_kind text NOT NULL,
    object_id   text NOT NULL,
    object_name text NOT NULL,
    team_id     text NOT NULL,
    sentence    text NOT NULL,
    figure      text NOT NULL,
    since       timestamptz NOT NULL,
    gone_time   timestamptz, -- since when it was not there, while it may come back
    end_time    timestamptz  -- NULL: it lasts
);
CREATE INDEX condition_end ON control.condition (kind, team_id, end_time) WHERE end_time IS NOT NULL;

-- Where alerts go. The envelope holds the URL and the secret that signs, as JSON.
CREATE TABLE control.alert_channel (
    id          text PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    kind        smallint NOT NULL CHECK (kind BETWEEN 1 AND 2), -- 1: webhook, 2: Slack
    host        text NOT NULL,
    events      text[] NOT NULL CHECK (cardinality(events) > 0), -- kinds of conditions
    disabled    boolean NOT NULL,
    envelope    bytea NOT NULL CHECK (length(envelope) > 0),
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL
);

CREATE TABLE control.alert_delivery (
    id           text PRIMARY KEY,
    channel_id   text NOT NULL REFERENCES control.alert_channel (id) ON DELETE CASCADE,
    condition_id text COLLATE "C" NOT NULL, -- empty for a test
    alert        jsonb NOT NULL CHECK (jsonb_typeof(alert) = 'object'),
    create_time  timestamptz NOT NULL,
    attempts     integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_time    timestamptz, -- NULL: nothing more is tried
    end_time     timestamptz,
    delivered    boolean NOT NULL DEFAULT false,
    status       integer NOT NULL DEFAULT 0, -- of the last answer; 0: none
    error        text NOT NULL DEFAULT ''
);
CREATE INDEX alert_delivery_due ON control.alert_delivery (next_time) WHERE next_time IS NOT NULL;
CREATE INDEX alert_delivery_channel ON control.alert_delivery (channel_id, create_time DESC, id DESC);

-- Which control plane looks for conditions. One that does not say again in time that it is there has lost the right.
CREATE TABLE control.alert_watch (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    holder text NOT NULL,
    until  timestamptz NOT NULL
);
