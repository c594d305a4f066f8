-- What meters counted, and work that goes on after the answer that began it. A leader of the release before
-- runs on this: what it needs is still there, and what is new may be absent or has a default.

-- +goose Up
ALTER TABLE ledger.request
    ADD COLUMN meter        text COLLATE "C",  -- null for none
    ADD COLUMN counts       text COLLATE "C",  -- "name=decimal" with "," between them; null for none
    ADD COLUMN job          text COLLATE "C",  -- that it began or told of; null for none
    ADD COLUMN job_state    smallint,          -- tollgate.event.v1.SpendJobState
    -- Of a correction, whether what it corrects was unpriced. A correction may itself be unpriced.
    ADD COLUMN was_unpriced boolean NOT NULL DEFAULT true;
CREATE INDEX request_job ON ledger.request (job) WHERE job IS NOT NULL;

-- One row for each job, made by the first event that begins it or says how it ended, whichever part books that
-- and in whichever order they come. What is set is never set again. The part that keeps the record of the
-- request that began the job corrects that record, once, in the transaction that sets settled.
CREATE TABLE ledger.job (
    endpoint_id  text     COLLATE "C" NOT NULL,
    job_id       text     COLLATE "C" NOT NULL,
    heard        timestamptz NOT NULL DEFAULT now(), -- when the row was made
    -- Where it began: the place of the record, null as long as that is not known.
    part         int,
    ended        timestamptz,
    inc          bigint,
    seq          bigint,
    deadline     timestamptz, -- when it is settled if nobody has told how it ended
    expires_free boolean,     -- whether it costs nothing then
    -- How it ended: tollgate.event.v1.SpendJobState, null as long as that is not known.
    told         smallint,
    as_begun     boolean,
    cost         bigint,      -- nano-dollars
    unpriced     boolean,
    units        bigint,
    counts       text     COLLATE "C",
    settled      timestamptz,
    settlement   smallint,    -- 1 told, 2 expired, 3 the record was gone
    PRIMARY KEY (endpoint_id, job_id),
    CHECK ((part IS NULL) = (seq IS NULL) AND (part IS NULL) = (deadline IS NULL) AND (told IS NULL) = (cost IS NULL)),
    CHECK (settled IS NULL OR part IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX job_told ON ledger.job (part) WHERE settled IS NULL AND told IS NOT NULL AND part IS NOT NULL;
CREATE INDEX job_deadline ON ledger.job (part, deadline) WHERE settled IS NULL AND part IS NOT NULL;
CREATE INDEX job_settled ON ledger.job (settled) WHERE settled IS NOT NULL;
CREATE INDEX job_unknown ON ledger.job (heard) WHERE part IS NULL;

-- Records of requests that began a job which another one had begun: they are corrected to cost nothing.
CREATE TABLE ledger.job_again (
    part  int         NOT NULL,
    inc   bigint      NOT NULL,
    seq   bigint      NOT NULL,
    ended timestamptz NOT NULL,
    PRIMARY KEY (part, inc, seq)
);

-- +goose Down
DROP TABLE ledger.job_again, ledger.job;
ALTER TABLE ledger.request DROP COLUMN meter, DROP COLUMN counts, DROP COLUMN job, DROP COLUMN job_state, DROP COLUMN was_unpriced;
