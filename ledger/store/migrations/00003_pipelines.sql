-- A statement can say what it has to find, so that a transaction is sent with its commit in one go and ends
-- as nothing where the database is not as it was read.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION ledger.expect(got bigint, want bigint, what text, code text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF got IS DISTINCT FROM want THEN
        RAISE EXCEPTION '%: % instead of %', what, coalesce(got::text, 'none'), want USING ERRCODE = code;
    END IF;
END
$$;
-- +goose StatementEnd

-- A lease that is looked up by its whole key is found at once in this index, too, whichever is taken.
DROP INDEX ledger.lease_inc;
CREATE INDEX lease_inc ON ledger.lease (inc, account_id);

-- +goose Down
DROP INDEX ledger.lease_inc;
CREATE INDEX lease_inc ON ledger.lease (inc);
DROP FUNCTION ledger.expect;
