-- Secrets with a name: whatever the provider derives from them stays the same over restarts.
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    secret BLOB NOT NULL
);

-- As a hub: the secrets that stamp messages, each from a time on, and the keys that sign the stamps.
CREATE TABLE franking_secrets (
    used_from BIGINT PRIMARY KEY,
    secret BLOB NOT NULL
);
CREATE TABLE franking_signers (
    suite BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    secret BLOB NOT NULL,
    PRIMARY KEY (suite, made_at)
);

-- As a hub: what speaks against a user. One row for each kind and source.
CREATE TABLE abuse_facts (
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    domain TEXT NOT NULL,
    tag BLOB NOT NULL,
    -- Empty for no room in particular.
    room TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (subject, kind, domain, tag)
);
CREATE INDEX abuse_facts_by_time ON abuse_facts (at);

-- As a hub: messages that were reported, and that it has stamped for certain.
CREATE TABLE abuse_evidence (
    reference BLOB PRIMARY KEY,
    subject TEXT NOT NULL,
    room TEXT NOT NULL,
    message BLOB NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX abuse_evidence_by_subject ON abuse_evidence (subject);

-- As a hub: what was decided about a user, and why. One row for each step.
CREATE TABLE abuse_decisions (
    subject TEXT NOT NULL,
    room TEXT NOT NULL,
    remedy TEXT NOT NULL,
    -- Hours, or 0 for good.
    hours BIGINT NOT NULL,
    explanation TEXT NOT NULL,
    decided_at BIGINT NOT NULL,
    -- 0 as long as it has not been carried out.
    done_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subject, room, remedy, hours)
);
CREATE INDEX abuse_decisions_by_done ON abuse_decisions (done_at);
