-- Prices by meters and such as targets say, which answers are charged, and requests that are signed for AWS.

-- +goose Up

-- The forms of JSON are those of package registry.
ALTER TABLE control.endpoint
    ADD COLUMN price       jsonb CHECK (jsonb_typeof(price) = 'object'), -- what free, price_nanos and usage do not say; NULL: nothing
    ADD COLUMN aws_signing jsonb CHECK (jsonb_typeof(aws_signing) = 'object'), -- NULL: requests are not signed
    ADD CHECK (price IS NULL OR NOT free AND usage IS NULL);
