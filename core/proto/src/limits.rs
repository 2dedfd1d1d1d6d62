//! Every length, count and time that the wire bounds, in one place: decoders refuse what is above, encoders never make it.

/// Changes that one envelope carries at most.
pub const MAX_CHANGES_PER_ENVELOPE: usize = 256;
/// Encoded size at which a packer closes an envelope that holds more than one change.
pub const ENVELOPE_TARGET_BYTES: usize = 64 * 1024;
/// Uncompressed change bytes at which a packer closes an envelope that holds more than one change.
pub const ENVELOPE_TARGET_RAW_BYTES: usize = 256 * 1024;
/// One change, uncompressed.
pub const MAX_CHANGE_BYTES: usize = 1024 * 1024;
/// All that a body holds, uncompressed: also the memory that decompression may take.
pub const MAX_BODY_RAW_BYTES: usize = MAX_CHANGE_BYTES + 64 * 1024;
/// One envelope, encoded.
pub const MAX_ENVELOPE_BYTES: usize = MAX_BODY_RAW_BYTES + 64 * 1024;
/// The signed header of an envelope.
pub const MAX_HEADER_BYTES: usize = 1024;
/// Dependencies that the body's encoding takes apart in one change; one with more travels whole.
pub const MAX_SPLIT_DEPENDENCIES: usize = 64;
/// Other actors that the body's encoding takes apart in one change; one with more travels whole.
pub const MAX_SPLIT_ACTORS: usize = 64;
/// Length of an actor in a change that the body's encoding takes apart.
pub const MAX_SPLIT_ACTOR_BYTES: usize = 32;
/// Columns of a change that the body's encoding takes apart; one with more travels whole.
pub const MAX_SPLIT_COLUMNS: usize = 64;

/// Payload of one frame.
pub const MAX_FRAME_BYTES: usize = MAX_ENVELOPE_BYTES + 64 * 1024;
/// Entries in one page of a caseload's log.
pub const MAX_ENTRIES_PER_PAGE: usize = 256;
/// Bytes of entries and envelopes at which a page closes (one large envelope may fill a page alone).
pub const PAGE_TARGET_BYTES: usize = 192 * 1024;
/// One entry of a caseload's log.
pub const MAX_ENTRY_BYTES: usize = 48 * 1024;
/// Verdicts in one entry: one a record.
pub const MAX_VERDICTS_PER_ENTRY: usize = MAX_CHANGES_PER_ENVELOPE;
/// Media files of one form version.
pub const MAX_MEDIA_PER_FORM: usize = 256;
/// Caseloads that one device, person or invitation names.
pub const MAX_CASELOADS: usize = 256;
/// Older points of a caseload's log that a device sends after a mismatch.
pub const MAX_POINTS: usize = 64;

/// One signed membership entry.
pub const MAX_MEMBERSHIP_ENTRY_BYTES: usize = 8 * 1024;
/// What one membership entry adopts.
pub const MAX_ADOPTED_PER_ENTRY: usize = 128;
/// The path of a part that is erased, in bytes of UTF-8.
pub const MAX_PART_BYTES: usize = 4096;
/// Membership entries in one frame.
pub const MAX_MEMBERSHIP_PER_PAGE: usize = 128;
/// Beginnings of envelopes' names in one frame.
pub const MAX_PREFIXES_PER_FRAME: usize = 4_096;
/// Form entries in one frame.
pub const MAX_FORMS_PER_FRAME: usize = 16;
/// Membership entries that a device brings back in one session at most.
pub const MAX_MEMBERSHIP_OFFERED: usize = 100_000;
/// Directory rows in one frame.
pub const MAX_DIRECTORY_PER_PAGE: usize = 512;
/// A name of a person, device, caseload, organisation, form or media file, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 512;
/// An address in an invitation.
pub const MAX_ADDRESS_BYTES: usize = 256;
/// Addresses in an invitation.
pub const MAX_ADDRESSES: usize = 16;
/// An invitation, as bytes.
pub const MAX_INVITATION_BYTES: usize = 4 * 1024;

/// What a device shows to another that it is to meet, as bytes.
pub const MAX_MEETING_BYTES: usize = 4 * 1024;

/// One chunk of a blob.
pub const BLOB_CHUNK_BYTES: usize = 64 * 1024;
/// A whole blob.
pub const MAX_BLOB_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Blobs asked for or offered in one frame.
pub const MAX_BLOBS_PER_FRAME: usize = 256;
/// Largest form definition that is told before the entry that names it; a larger one is asked for in pieces.
pub const MAX_DEFINITION_BYTES: usize = MAX_CHANGE_BYTES;
/// Definitions that are told before one page, and that a device holds until the entries come that name them, in bytes.
pub const MAX_DEFINITIONS_BYTES: usize = 4 * MAX_DEFINITION_BYTES;

/// A whole attachment.
pub const MAX_ATTACHMENT_BYTES: u64 = 256 * 1024 * 1024;
/// The ending of an attachment's name.
pub const MAX_ATTACHMENT_ENDING_BYTES: usize = 8;
/// A piece of an attachment as it is sent: what is under way when a line breaks is lost, so it is small.
pub const PIECE_BYTES: usize = 8 * 1024;
/// A piece of an attachment as it is taken.
pub const MAX_PIECE_BYTES: usize = 64 * 1024;
/// Attachments brought, and as many fetched, that one stream has under way.
pub const MAX_TRANSFERS_OUTSTANDING: usize = 16;

/// People introduced in one session.
pub const MAX_INTRODUCTIONS: usize = 256;
/// Envelopes that a server session takes in before it has answered earlier ones.
pub const MAX_INGESTS_OUTSTANDING: usize = 64;
/// Envelopes that a device has under way without an answer.
pub const MAX_OFFERS_OUTSTANDING: usize = 256;

/// Elements that a decoder does not know, kept at the end of an array.
pub const MAX_EXTRA_ITEMS: usize = 32;
/// Bytes of such elements.
pub const MAX_EXTRA_BYTES: usize = 4 * 1024;
/// How deep elements that a decoder does not know may nest.
pub const MAX_EXTRA_DEPTH: usize = 8;

/// Silence after which a session is given up.
pub const SESSION_IDLE_MS: u64 = 120_000;
/// Difference between a device's clock and the server's above which the device shows it.
pub const CLOCK_TOLERANCE_MS: i64 = 3_600_000;
