-- People and what they may do; keys that are rotated, blocked and bound to methods and networks; customers, tags and settings;
-- endpoints that are switched off; references to secrets; files that own what they name. A version before this one goes on
-- working with this schema: it writes none of what is new, and every new column has a default that means what was before.

-- +goose Up

-- Every three characters of a text that follow one another, in lower case: names are found by any part of them without going
-- through all, and without an extension that a server may lack. NULL for a shorter text.
CREATE FUNCTION control.parts(t text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (SELECT array_agg(DISTINCT substr(lower(t), i, 3)) FROM generate_series(1, length(t) - 2) AS i);

CREATE TABLE control.person (
    id            text PRIMARY KEY,
    email         text COLLATE "C" NOT NULL UNIQUE CHECK (email <> '' AND email = lower(email)),
    name          text NOT NULL,
    role          smallint NOT NULL CHECK (role BETWEEN 1 AND 6),
    disabled      boolean NOT NULL DEFAULT false,
    password_hash text,        -- argon2id in its own text form; NULL: none
    oidc_subject  text UNIQUE, -- issuer and subject; NULL: never signed in so
    sign_in_time  timestamptz,
    revision      bigint NOT NULL CHECK (revision > 0),
    create_time   timestamptz NOT NULL,
    update_time   timestamptz NOT NULL
);

-- Links by which somebody sets a password, once. Without a person it is the one for the first owner.
CREATE TABLE control.sign_in_link (
    sha256      bytea PRIMARY KEY CHECK (length(sha256) = 32),
    person_id   text REFERENCES control.person (id) ON DELETE CASCADE,
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL
);

CREATE TABLE control.session (
    id          text PRIMARY KEY,
    sha256      bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    person_id   text NOT NULL REFERENCES control.person (id) ON DELETE CASCADE,
    agent       text NOT NULL,
    address     text NOT NULL,
    create_time timestamptz NOT NULL,
    use_time    timestamptz NOT NULL,
    expire_time timestamptz NOT NULL
);
CREATE INDEX session_person ON control.session (person_id);

-- Command lines that wait for somebody to let them in.
CREATE TABLE control.device_sign_in (
    device_sha256 bytea PRIMARY KEY CHECK (length(device_sha256) = 32),
    user_code     text NOT NULL UNIQUE,
    agent         text NOT NULL,
    person_id     text REFERENCES control.person (id) ON DELETE CASCADE,
    decision      smallint NOT NULL DEFAULT 0 CHECK (decision BETWEEN 0 AND 2), -- 0: none yet, 1: allowed, 2: refused
    expire_time   timestamptz NOT NULL
);

CREATE TABLE control.token (
    id          text PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    sha256      bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    suffix      text NOT NULL,
    role        smallint NOT NULL CHECK (role BETWEEN 0 AND 6),
    permissions smallint[] NOT NULL DEFAULT '{}',
    team_id     text REFERENCES control.team (id) ON DELETE CASCADE,
    creator     text NOT NULL,
    expire_time timestamptz,
    revoke_time timestamptz,
    use_time    timestamptz,
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL
);
CREATE INDEX token_team ON control.token (team_id) WHERE team_id IS NOT NULL;

CREATE TABLE control.team_member (
    team_id   text NOT NULL REFERENCES control.team (id) ON DELETE CASCADE,
    person_id text NOT NULL REFERENCES control.person (id) ON DELETE CASCADE,
    role      smallint NOT NULL CHECK (role BETWEEN 1 AND 2),
    PRIMARY KEY (team_id, person_id)
);
CREATE INDEX team_member_person ON control.team_member (person_id);

ALTER TABLE control.team
    ADD COLUMN description text NOT NULL DEFAULT '',
    ADD COLUMN restricted  boolean NOT NULL DEFAULT false, -- its keys may call the endpoints in team_endpoint at most
    ADD COLUMN models      text[] COLLATE "C" NOT NULL DEFAULT '{}',
    ADD COLUMN metadata    jsonb CHECK (jsonb_typeof(metadata) = 'object'),
    ADD COLUMN blocked     boolean NOT NULL DEFAULT false;

-- A version that does not know them can still delete a team or an endpoint.
CREATE TABLE control.team_endpoint (
    team_id     text NOT NULL REFERENCES control.team (id) ON DELETE CASCADE,
    endpoint_id text NOT NULL REFERENCES control.endpoint (id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, endpoint_id)
);
CREATE INDEX team_endpoint_endpoint ON control.team_endpoint (endpoint_id);

ALTER TABLE control.key
    ADD COLUMN description text NOT NULL DEFAULT '',
    ADD COLUMN methods     text[] COLLATE "C" NOT NULL DEFAULT '{}',
    ADD COLUMN networks    text[] COLLATE "C" NOT NULL DEFAULT '{}',
    ADD COLUMN metadata    jsonb CHECK (jsonb_typeof(metadata) = 'object'),
    ADD COLUMN blocked     boolean NOT NULL DEFAULT false,
    ADD COLUMN suffix      text NOT NULL DEFAULT '', -- last four characters of the secret
    ADD COLUMN rotate_time timestamptz;
CREATE INDEX key_suffix ON control.key (suffix) WHERE suffix <> '';
CREATE INDEX key_create ON control.key (create_time, name);
CREATE INDEX key_expire ON control.key ((coalesce(expire_time, 'infinity')), name);
CREATE INDEX key_revoke ON control.key (revoke_time) WHERE revoke_time IS NOT NULL;
CREATE INDEX key_blocked ON control.key (name) WHERE blocked;
CREATE INDEX key_team_live ON control.key (team_id) WHERE team_id IS NOT NULL AND revoke_time IS NULL;
CREATE INDEX key_parts ON control.key USING gin (control.parts(name));
CREATE INDEX key_team_name ON control.key (team_id, name) WHERE team_id IS NOT NULL;

-- The secret that a key had before its last rotation, as long as it works and a while after. A secret is never both here and in
-- control.key.
CREATE TABLE control.key_old_secret (
    key_id      text PRIMARY KEY REFERENCES control.key (id) ON DELETE CASCADE,
    sha256      bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    shard       integer NOT NULL CHECK (shard BETWEEN 0 AND 1023),
    prefix      text NOT NULL,
    suffix      text NOT NULL,
    create_time timestamptz NOT NULL,
    end_time    timestamptz NOT NULL
);
CREATE INDEX key_old_secret_shard ON control.key_old_secret (shard);
CREATE INDEX key_old_secret_suffix ON control.key_old_secret (suffix) WHERE suffix <> '';

CREATE TABLE control.customer (
    name         text COLLATE "C" PRIMARY KEY CHECK (name <> ''),
    display_name text NOT NULL DEFAULT '',
    blocked      boolean NOT NULL DEFAULT false,
    metadata     jsonb CHECK (jsonb_typeof(metadata) = 'object'),
    first_sight  boolean NOT NULL DEFAULT false,
    budget_id    text REFERENCES control.budget (id) ON DELETE SET NULL, -- that it was created with
    revision     bigint NOT NULL CHECK (revision > 0),
    create_time  timestamptz NOT NULL
);
CREATE INDEX customer_budget ON control.customer (budget_id) WHERE budget_id IS NOT NULL;

CREATE TABLE control.tag (
    name        text COLLATE "C" PRIMARY KEY CHECK (name <> ''),
    description text NOT NULL,
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL
);

-- One row, once somebody has changed a setting. The form of JSON is registry.Settings.
CREATE TABLE control.settings (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    value       jsonb NOT NULL CHECK (jsonb_typeof(value) = 'object'),
    revision    bigint NOT NULL CHECK (revision > 0),
    update_time timestamptz NOT NULL
);

ALTER TABLE control.endpoint
    ADD COLUMN disabled    boolean NOT NULL DEFAULT false,
    ADD COLUMN description text NOT NULL DEFAULT '';

-- A reference has an envelope of nothing, for versions that do not know references.
ALTER TABLE control.secret
    ADD COLUMN version      bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    ADD COLUMN description  text NOT NULL DEFAULT '',
    ADD COLUMN reference    text NOT NULL DEFAULT '',
    ADD COLUMN old_envelope bytea CHECK (length(old_envelope) > 0), -- the value before, until old_end_time
    ADD COLUMN old_end_time timestamptz,
    ADD CHECK ((old_envelope IS NULL) = (old_end_time IS NULL));

CREATE TABLE control.join_token (
    sha256      bytea PRIMARY KEY CHECK (length(sha256) = 32),
    node        text NOT NULL,
    region      text NOT NULL,
    creator     text NOT NULL,
    expire_time timestamptz NOT NULL,
    use_time    timestamptz
);

-- Calls that were made under an Idempotency-Key, and what they were answered, which only the master key opens.
CREATE TABLE control.idempotency (
    actor        text NOT NULL,
    key          text NOT NULL,
    procedure    text NOT NULL,
    request_hash bytea NOT NULL CHECK (length(request_hash) = 32),
    response     bytea, -- an envelope; NULL while the call runs, or where its process ended before it could be kept
    create_time  timestamptz NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_create ON control.idempotency (create_time);

-- What files own, and what they said of it when they were last applied.
CREATE TABLE control.managed (
    kind       text NOT NULL,
    object_id  text NOT NULL,
    name       text NOT NULL,
    owner      text COLLATE "C" NOT NULL CHECK (owner <> ''),
    settings   jsonb NOT NULL,
    revision   bigint NOT NULL CHECK (revision > 0),
    apply_time timestamptz NOT NULL,
    PRIMARY KEY (kind, object_id)
);
CREATE INDEX managed_owner ON control.managed (owner);

-- Plans that wait to be applied. They may hold secrets, so they are envelopes.
CREATE TABLE control.plan (
    id          text PRIMARY KEY,
    actor       text NOT NULL,
    envelope    bytea NOT NULL CHECK (length(envelope) > 0),
    digest      bytea NOT NULL CHECK (length(digest) = 32), -- of what it would do
    expire_time timestamptz NOT NULL
);

ALTER TABLE control.audit
    ADD COLUMN object_name text NOT NULL DEFAULT '',
    ADD COLUMN via         text NOT NULL DEFAULT 'api',
    ADD COLUMN address     text NOT NULL DEFAULT '',
    ADD COLUMN request_id  text NOT NULL DEFAULT '';
CREATE INDEX audit_revision ON control.audit (revision);
CREATE INDEX audit_object ON control.audit (kind, object_id, revision);
CREATE INDEX audit_at ON control.audit (at, id);

-- What was spent of a budget elsewhere before it was created. A version before this one never publishes it.
ALTER TABLE control.budget
    ADD COLUMN opening_nanos bigint NOT NULL DEFAULT 0 CHECK (opening_nanos >= 0),
    ADD COLUMN opening_time  timestamptz;
