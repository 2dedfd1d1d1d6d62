//! The tables of an organisation: append-only migrations, position + 1 is the version that `PRAGMA user_version` keeps.

/// Everything but keys and projections.
pub const MAIN: &[&str] = &[
    "
CREATE TABLE setting(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE membership(position INTEGER PRIMARY KEY, bytes BLOB NOT NULL, chain BLOB NOT NULL) STRICT;
-- Names of the organisation, people, devices and caseloads; a row that changes gets a new version.
CREATE TABLE directory(
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    UNIQUE(kind, id)
) STRICT;
CREATE TABLE account(
    person BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    password TEXT,
    disabled INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE device_state(device BLOB PRIMARY KEY, last_sync_ms INTEGER NOT NULL) STRICT;
CREATE TABLE caseload(
    id BLOB PRIMARY KEY,
    head INTEGER NOT NULL DEFAULT 0,
    chain BLOB NOT NULL,
    backed_up INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE entry(
    caseload BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    chain BLOB NOT NULL,
    envelope BLOB,
    PRIMARY KEY(caseload, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE envelope(
    hash BLOB PRIMARY KEY,
    caseload BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    device BLOB NOT NULL,
    incarnation BLOB NOT NULL,
    counter INTEGER NOT NULL,
    header BLOB NOT NULL,
    signature BLOB NOT NULL,
    role INTEGER NOT NULL,
    UNIQUE(caseload, device, incarnation, counter)
) STRICT;
-- Payloads are encrypted under the key of their record.
CREATE TABLE change(
    envelope BLOB NOT NULL,
    position INTEGER NOT NULL,
    caseload BLOB NOT NULL,
    record BLOB NOT NULL,
    generation INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY(envelope, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_record ON change(record, caseload);
-- What is not accepted now.
CREATE TABLE verdict(
    envelope BLOB NOT NULL,
    record BLOB NOT NULL,
    verdict INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    PRIMARY KEY(envelope, record)
) STRICT, WITHOUT ROWID;
CREATE INDEX verdict_record ON verdict(record);
CREATE TABLE form(
    hash BLOB NOT NULL,
    caseload BLOB NOT NULL,
    form_id TEXT NOT NULL,
    version TEXT NOT NULL,
    title TEXT NOT NULL,
    file_name TEXT NOT NULL,
    media TEXT NOT NULL,
    retired INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(hash, caseload)
) STRICT;
",
    "
-- Where each log ended when the server was restored from a backup; 0: never.
ALTER TABLE caseload ADD COLUMN restored_head INTEGER NOT NULL DEFAULT 0;
-- Another device told that a log which is no more had it.
ALTER TABLE envelope ADD COLUMN testified INTEGER NOT NULL DEFAULT 0;
-- What devices brought back since a restore, until recovery is closed; encrypted as changes are.
CREATE TABLE recovered(
    hash BLOB NOT NULL UNIQUE,
    caseload BLOB NOT NULL,
    bearer BLOB NOT NULL,
    sealed BLOB NOT NULL,
    earlier INTEGER,
    testimony BLOB
) STRICT;
CREATE TABLE recovered_form(
    caseload BLOB NOT NULL,
    hash BLOB NOT NULL,
    entry BLOB NOT NULL,
    bearer BLOB NOT NULL,
    PRIMARY KEY(caseload, hash)
) STRICT;
",
    "
-- Some of its changes are pruned: another copy may hold them.
ALTER TABLE recovered ADD COLUMN partial INTEGER NOT NULL DEFAULT 0;
-- Changes that were taken out of an envelope: only their leaf is left.
CREATE TABLE pruned(
    envelope BLOB NOT NULL,
    position INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    PRIMARY KEY(envelope, position)
) STRICT, WITHOUT ROWID;
-- Why somebody decided about a record or device. Devices never see it.
CREATE TABLE audit(
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    person BLOB NOT NULL,
    act TEXT NOT NULL,
    subject TEXT NOT NULL,
    note TEXT NOT NULL
) STRICT;
-- Caseloads that a device said it holds when it was last here.
CREATE TABLE held(device BLOB NOT NULL, caseload BLOB NOT NULL, PRIMARY KEY(device, caseload)) STRICT, WITHOUT ROWID;
",
    "
-- Files that answers refer to, by the hash of their content.
CREATE TABLE attachment(hash BLOB PRIMARY KEY, length INTEGER NOT NULL, kept_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- Which change speaks of which.
CREATE TABLE attachment_reference(
    attachment BLOB NOT NULL,
    envelope BLOB NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY(attachment, envelope, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachment_reference_place ON attachment_reference(envelope, position);
-- Those that lost a change with an erasure, until it was looked whether any is left.
CREATE TABLE attachment_let_go(hash BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TRIGGER change_gone AFTER DELETE ON change BEGIN
    INSERT OR IGNORE INTO attachment_let_go(hash)
        SELECT attachment FROM attachment_reference WHERE envelope = old.envelope AND position = old.position;
    DELETE FROM attachment_reference WHERE envelope = old.envelope AND position = old.position;
END;
",
    "
-- The lives of a device's database, as it said them; the one said last has the greatest number.
CREATE TABLE device_life(
    device BLOB NOT NULL,
    incarnation BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY(device, incarnation)
) STRICT, WITHOUT ROWID;
-- When two copies of a device's database were last seen in use.
CREATE TABLE device_copied(device BLOB PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
",
];

/// Keys.
pub const KEYS: &[&str] = &["
CREATE TABLE record_key(record BLOB PRIMARY KEY, key BLOB NOT NULL) STRICT;
CREATE TABLE envelope_salt(envelope BLOB PRIMARY KEY, secret BLOB NOT NULL) STRICT;
", "
-- Each generation of a record has a key of its own: what was erased from it is unreadable once this table's backups have expired.
CREATE TABLE generation_key(record BLOB NOT NULL, generation INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY(record, generation)) STRICT;
INSERT INTO generation_key(record, generation, key) SELECT record, 0, key FROM record_key;
DROP TABLE record_key;
ALTER TABLE generation_key RENAME TO record_key;
", "
CREATE TABLE attachment_key(name TEXT PRIMARY KEY, key BLOB NOT NULL) STRICT, WITHOUT ROWID;
"];
