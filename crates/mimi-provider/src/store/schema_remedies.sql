-- As a hub: requests for remedies that wait to be sent to users' providers.
CREATE TABLE remedy_outbox (
    id BLOB PRIMARY KEY,
    peer TEXT NOT NULL,
    body BLOB NOT NULL,
    due_at BIGINT NOT NULL
);

-- As a home provider: what hubs have asked for. The user stands here as the hub knows it, never the account.
CREATE TABLE remedy_requests (
    hub TEXT NOT NULL,
    id BLOB NOT NULL,
    subject TEXT NOT NULL,
    wanted BIGINT NOT NULL,
    with_evidence BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    decided BIGINT NOT NULL DEFAULT 0,
    -- The request as it was signed.
    body BLOB NOT NULL,
    PRIMARY KEY (hub, id)
);
CREATE INDEX remedy_requests_by_hub ON remedy_requests (hub, received_at);
CREATE INDEX remedy_requests_by_subject ON remedy_requests (subject);

-- As a home provider: what was decided about accounts of its own, and from which moment on it shows in which pseudonym.
CREATE TABLE account_remedies (
    account BIGINT PRIMARY KEY,
    remedy TEXT NOT NULL,
    explanation TEXT NOT NULL,
    decided_at BIGINT NOT NULL
);
CREATE TABLE silenced_users (
    subject TEXT PRIMARY KEY,
    due_at BIGINT NOT NULL
);
