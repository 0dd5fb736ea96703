-- As a local provider: what a device that is added to an account needs to know, without looking at every account's.
CREATE INDEX pseudonyms_by_account ON pseudonyms (account);
