-- Which deployment of which model served a request. A leader of the release before runs on this: it leaves the column out.

-- +goose Up
ALTER TABLE ledger.request ADD COLUMN deployment text COLLATE "C"; -- "MODEL/DEPLOYMENT"; null for none

-- +goose Down
ALTER TABLE ledger.request DROP COLUMN deployment;
