-- Models that endpoints serve in place of targets, adapters that users run, and which models a key may ask for.

-- +goose Up

-- The forms of JSON are those of package registry.
CREATE TABLE control.model (
    id          text PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    settings    jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL
);

-- All that callers may ask for a model by: its name and its aliases.
CREATE TABLE control.model_name (
    name     text COLLATE "C" PRIMARY KEY CHECK (name <> ''),
    model_id text NOT NULL REFERENCES control.model (id) ON DELETE CASCADE
);
CREATE INDEX model_name_model ON control.model_name (model_id);

CREATE TABLE control.adapter (
    id          text PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    settings    jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL
);

-- What refers to which secrets and adapters. The reference holds what it refers to.
CREATE TABLE control.model_secret (
    model_id  text NOT NULL REFERENCES control.model (id) ON DELETE CASCADE,
    secret_id text NOT NULL REFERENCES control.secret (id),
    PRIMARY KEY (model_id, secret_id)
);
CREATE INDEX model_secret_secret ON control.model_secret (secret_id);

CREATE TABLE control.adapter_secret (
    adapter_id text NOT NULL REFERENCES control.adapter (id) ON DELETE CASCADE,
    secret_id  text NOT NULL REFERENCES control.secret (id),
    PRIMARY KEY (adapter_id, secret_id)
);
CREATE INDEX adapter_secret_secret ON control.adapter_secret (secret_id);

CREATE TABLE control.model_adapter (
    model_id   text NOT NULL REFERENCES control.model (id) ON DELETE CASCADE,
    adapter_id text NOT NULL REFERENCES control.adapter (id),
    PRIMARY KEY (model_id, adapter_id)
);
CREATE INDEX model_adapter_adapter ON control.model_adapter (adapter_id);

-- A version that knows no adapters can still delete an endpoint.
CREATE TABLE control.endpoint_adapter (
    endpoint_id text PRIMARY KEY REFERENCES control.endpoint (id) ON DELETE CASCADE,
    adapter_id  text NOT NULL REFERENCES control.adapter (id)
);
CREATE INDEX endpoint_adapter_adapter ON control.endpoint_adapter (adapter_id);

ALTER TABLE control.endpoint
    ADD COLUMN models jsonb CHECK (jsonb_typeof(models) = 'object'), -- NULL: it has targets
    DROP CONSTRAINT endpoint_targets_check,
    ADD CONSTRAINT endpoint_targets_check CHECK ((models IS NULL) = (cardinality(targets) > 0));

-- Patterns with "*" for any text.
ALTER TABLE control.key
    ADD COLUMN models text[] COLLATE "C" NOT NULL DEFAULT '{}'; -- empty: all
