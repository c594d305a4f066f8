-- What models cost: lists of rows that come from files, and rows of the operator's own that come before them.

-- +goose Up

-- Names of models are compared without regard to case: key is the name in lower case. The price is a
-- tollgate.control.v1.ModelPrice in protobuf's JSON.
CREATE TABLE control.price_row (
    list     text COLLATE "C" NOT NULL CHECK (list <> ''),
    key      text COLLATE "C" NOT NULL CHECK (key <> ''),
    override boolean NOT NULL, -- of the operator's own
    price    jsonb NOT NULL CHECK (jsonb_typeof(price) = 'object'),
    revision bigint NOT NULL CHECK (revision > 0),
    PRIMARY KEY (list, key, override)
);

-- The files that were taken over.
CREATE TABLE control.price_book_version (
    version     bigint PRIMARY KEY CHECK (version > 0),
    source      text NOT NULL,
    date        text NOT NULL,
    licence     text NOT NULL,
    added       bigint NOT NULL CHECK (added >= 0),
    changed     bigint NOT NULL CHECK (changed >= 0),
    removed     bigint NOT NULL CHECK (removed >= 0),
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL
);
