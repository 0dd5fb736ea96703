-- As a local provider: what a device that is added to an account needs to know, without looking at every account's.
CREATE INDEX pseudonyms_by_account ON pseudonyms (account);
CREATE INDEX client_pseudonyms_by_user ON client_pseudonyms (user_uri);
