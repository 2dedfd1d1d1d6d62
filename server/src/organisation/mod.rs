//! The organisation: its folder, keys, membership, names, forms and logs, in one place that everything on the server goes through.
//!
//! One process writes, under the folder's lock; inside it one connection writes ([`Organisation::writing`]) and any number read.
//! [`people`], [`invitations`], [`forms`] and [`directory`] are what administrators do; [`crate::log`] is what devices bring.

pub(crate) mod brought_back;
pub mod devices;
pub mod directory;
pub mod folder;
pub mod forms;
pub mod invitations;
pub mod members;
pub mod people;
pub(crate) mod readers;
pub mod schema;
pub(crate) mod tables_postgres;
pub(crate) mod writing;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use karwan_form::model::Form;
use karwan_proto::membership::Act;
use karwan_proto::{
    CaseloadId, Hash, IncarnationId, Membership, OrganisationId, PersonId, PublicKey, RecordId, Role, SigningKey,
};
use karwan_record::Record;
use tokio::sync::Notify;

use crate::clock::random;
use crate::database::address;
use crate::database::place::Place;
use crate::database::{Connection, OptionalExtension, Sharing, params, postgres, sqlite};
use crate::log::cache::Bounded;
use crate::log::recent::Recent;
use crate::problem::Problem;
use directory::Named;
use folder::{Folder, Lock, write_secret};
use readers::Readers;

/// Judged records that stay loaded at most, of 17 to 46 KiB each.
const RECORDS_MAX: usize = 1_000;

/// An organisation, opened for writing.
pub struct Organisation {
    pub(crate) folder: Folder,
    pub(crate) core: Mutex<Core>,
    /// The membership as it was when the last who wrote was done: who only asks need not wait for who writes.
    pub(crate) told_membership: Mutex<Arc<Membership>>,
    pub(crate) databases: Databases,
    readers: Readers,
    pub(crate) key_readers: Readers,
    pub(crate) forms: Mutex<BTreeMap<Hash, Arc<Form>>>,
    /// What was taken in a moment ago, for who reads the logs.
    pub(crate) recent: Mutex<Recent>,
    /// Where attachments are kept, if not in the folder, as it was known last.
    pub(crate) bucket: Mutex<Option<Arc<crate::attachments::Bucket>>>,
    /// Rung when records were taken out of it.
    pub(crate) recent_taken: Condvar,
    /// Rung when a log has grown.
    pub grown: Notify,
    pub(crate) server_key: SigningKey,
    /// Held from reading a record to writing a decision about it: two decisions on one state would have one sequence number.
    deciding: Mutex<Option<Connection>>,
    /// Held while bytes are appended to an attachment.
    pub(crate) appending: Mutex<()>,
    administrator_key: SigningKey,
    id: OrganisationId,
    _lock: Lock,
}

/// What a writer holds.
pub(crate) struct Core {
    pub(crate) db: Connection,
    pub(crate) keys: Connection,
    pub(crate) membership: Arc<Membership>,
    /// This process's incarnation as a writer, and how many envelopes it sealed by caseload.
    pub(crate) incarnation: IncarnationId,
    pub(crate) sealed: BTreeMap<CaseloadId, (u64, Option<Hash>)>,
    /// Records that were judged a moment ago: a team that comes home brings many changes of the same records.
    pub(crate) records: Bounded<RecordId, Arc<Record>>,
    /// The server was restored and its recovery is not closed.
    pub(crate) recovering: bool,
    /// Where logs ended when `records` were loaded; kept where other processes write too.
    pub(crate) heads: BTreeMap<CaseloadId, u64>,
    /// The connections are of no more use.
    pub(crate) broken: bool,
}

/// Where an organisation's databases are.
pub(crate) struct Databases {
    main: Arc<Place>,
    keys: Arc<Place>,
}

/// Tables that were just made, with everybody else kept out until these end.
pub(crate) struct FoundedDatabases {
    pub(crate) main: Connection,
    pub(crate) keys: Connection,
}

impl Databases {
    /// Two files in the folder, or two schemas of the database whose address stands there.
    fn of(folder: &Folder) -> Result<Self, Problem> {
        let Some(address) = folder.database_address()? else {
            return Ok(Self {
                main: Arc::new(Place::File(folder.database(), schema::MAIN)),
                keys: Arc::new(Place::File(folder.keys_database(), schema::KEYS)),
            });
        };
        Self::at(&address)
    }

    /// Whether other processes may write there, too.
    pub(crate) fn are_shared(&self) -> bool {
        matches!(*self.main, Place::Server(..))
    }

    /// Makes the tables in a database that has no organisation.
    pub(crate) fn found_at(address: &str) -> Result<FoundedDatabases, Problem> {
        let databases = Self::at(address)?;
        let founded = FoundedDatabases { main: databases.main.open()?, keys: databases.keys.open()? };
        founded.main.keep_others_out(Sharing::Alone)?;
        if founded.main.prepare("SELECT 1 FROM setting WHERE name = 'organisation'").exists(())? {
            let mend = "Give another database. Another server of the same organisation takes a copy of the folders `keys` and `database`.";
            return Err(Problem::input("exists", "there is an organisation in this database", mend));
        }
        Ok(founded)
    }

    fn at(address: &str) -> Result<Self, Problem> {
        use tables_postgres::{KEYS, KEYS_SCHEMA, MAIN, MAIN_SCHEMA};
        Ok(Self {
            main: Arc::new(Place::Server(Box::new(postgres::Place::of(address, MAIN_SCHEMA)?), MAIN)),
            keys: Arc::new(Place::Server(Box::new(postgres::Place::of(address, KEYS_SCHEMA)?), KEYS)),
        })
    }
}

/// What `init` made.
#[derive(Debug, Clone)]
pub struct Founded {
    /// Where the root key was put.
    pub root_key: std::path::PathBuf,
    /// The first administrator's password for the console.
    pub password: String,
    /// Name of the first administrator.
    pub administrator: String,
}

impl Organisation {
    /// Makes an organisation: root key, first administrator, server key.
    pub fn init(path: &Path, name: &str) -> Result<Founded, Problem> {
        Self::init_with(path, name, None)
    }

    /// As [`Organisation::init`], with the address of the database where that is to be PostgreSQL.
    pub fn init_with(path: &Path, name: &str, database: Option<&str>) -> Result<Founded, Problem> {
        // Before anything is made: who cannot reach it has an empty folder to try again with.
        let database = database.map(address::absolute).transpose()?;
        let shared = database.as_deref().map(Databases::found_at).transpose()?;
        let folder = Folder(path.to_path_buf());
        let not_empty = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if folder.exists() || not_empty {
            let error = format!("{} is not empty", path.display());
            return Err(Problem::input("exists", error, "Choose a folder that does not exist yet."));
        }
        if folder.root_key().exists() {
            let error = format!("{} exists", folder.root_key().display());
            return Err(Problem::input("exists", error, "It may be another organisation's root key: move it to a safe place."));
        }
        std::fs::create_dir_all(path.join("keys"))?;
        std::fs::create_dir_all(folder.blobs())?;
        restrict(path)?;
        let lock = Lock::wait(&folder)?;
        let [root, administrator, server] =
            [SigningKey::from_seed(&random()), SigningKey::from_seed(&random()), SigningKey::from_seed(&random())];
        write_secret(&folder.root_key(), hex(&root.seed()).as_bytes())?;
        write_secret(&folder.key("administrator.key"), hex(&administrator.seed()).as_bytes())?;
        write_secret(&folder.key("server.key"), hex(&server.seed()).as_bytes())?;
        let id = root.public().organisation();
        if let (Some(shared), Some(address)) = (shared, database) {
            put_identity(&shared.main, id, root.public())?;
            write_secret(&folder.address_file(), address.as_bytes())?;
        } else {
            // Written to a side file and renamed: an interrupted `init` leaves no half organisation.
            let unfinished = path.join("karwan.db.unfinished");
            let db = sqlite::open(&unfinished, schema::MAIN)?;
            drop(sqlite::open(&folder.keys_database(), schema::KEYS)?);
            put_identity(&db, id, root.public())?;
            drop(db);
            for side in ["karwan.db.unfinished-wal", "karwan.db.unfinished-shm"] {
                std::fs::remove_file(path.join(side)).ok();
            }
            std::fs::rename(&unfinished, folder.database())?;
        }
        let organisation = Self::with_lock(folder.clone(), lock)?;
        let person = PersonId::from_random(random());
        let password = password();
        {
            let mut core = organisation.writing()?;
            let core = &mut *core;
            core.sign(id, Act::Root { key: root.public() }, &root)?;
            core.sign(id, Act::Administrator { key: administrator.public(), person }, &root)?;
            core.sign(id, Act::ServerKey { key: server.public() }, &root)?;
            let entry = core.membership.person(person).is_none();
            if entry {
                let act = Act::Person {
                    person,
                    role: Role::Administrator,
                    caseloads: std::collections::BTreeSet::new(),
                    cuts: Vec::new(),
                };
                core.sign(id, act, &administrator)?;
            }
            directory::put(&core.db, Named::Organisation, id.0, name)?;
            directory::put(&core.db, Named::Person, person.0, "administrator")?;
            people::put_account(&core.db, person, "administrator", Some(&password))?;
            core.db.execute("INSERT INTO setting(name, value) VALUES('name', ?1)", params![name.as_bytes()])?;
        }
        Ok(Founded { root_key: folder.root_key(), password, administrator: "administrator".to_owned() })
    }

    /// Opens an organisation, waiting for the lock.
    pub fn open(path: &Path) -> Result<Arc<Self>, Problem> {
        let folder = Folder(path.to_path_buf());
        folder.require()?;
        let lock = Lock::wait(&folder)?;
        Ok(Arc::new(Self::with_lock(folder, lock)?))
    }

    /// Opens an organisation whose lock is held.
    pub fn with_lock(folder: Folder, lock: Lock) -> Result<Self, Problem> {
        folder.require()?;
        std::fs::create_dir_all(folder.attachments())?;
        let databases = Databases::of(&folder)?;
        let db = databases.main.open()?;
        let keys = databases.keys.open()?;
        let id: [u8; 16] = db.query_row("SELECT value FROM setting WHERE name = 'organisation'", (), |row| row.get(0))?;
        let id = OrganisationId(id);
        let membership = Arc::new(members::replay(&db, id)?);
        let told_membership = Mutex::new(membership.clone());
        let server_key = read_key(&folder, "server.key")?;
        let administrator_key = read_key(&folder, "administrator.key")?;
        // Never read from the database: a copy of it must not go on as the same writer.
        let incarnation = IncarnationId::from_random(random());
        let recovering = crate::log::recovery::since(&db)?.is_some();
        let core = Core {
            db,
            keys,
            membership,
            incarnation,
            sealed: BTreeMap::new(),
            records: Bounded::of(RECORDS_MAX),
            recovering,
            heads: BTreeMap::new(),
            broken: false,
        };
        let (readers, key_readers) = (Readers::of(databases.main.clone()), Readers::of(databases.keys.clone()));
        let organisation = Self {
            folder,
            core: Mutex::new(core),
            told_membership,
            databases,
            readers,
            key_readers,
            forms: Mutex::default(),
            recent: Mutex::default(),
            bucket: Mutex::default(),
            recent_taken: Condvar::new(),
            grown: Notify::new(),
            server_key,
            deciding: Mutex::default(),
            appending: Mutex::new(()),
            administrator_key,
            id,
            _lock: lock,
        };
        // What a process that was killed had decided and not finished.
        organisation.obey_decisions(&mut *organisation.writing()?)?;
        organisation.let_attachments_go()?;
        Ok(organisation)
    }

    /// The organisation's identifier.
    pub fn id(&self) -> OrganisationId {
        self.id
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.setting("name").ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Reads beside the writer.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Problem>) -> Result<T, Problem> {
        self.readers.read(work)
    }

    /// A small value by name.
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        self.read(|db| Ok(db.query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0)).optional()?))
    }

    /// Keeps a small value by name.
    pub fn set_setting(&self, name: &str, value: &[u8]) -> Result<(), Problem> {
        self.writing()?.db.execute(
            "INSERT INTO setting(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
            params![name, value],
        )?;
        Ok(())
    }

    /// Who decides where nobody is named: the administrator whose key this folder holds.
    pub fn administrator(&self) -> Result<PersonId, Problem> {
        let own = self.administrator_key.public();
        let (_, entries, _) = self.membership_after(Membership::start(self.id), usize::MAX >> 1)?;
        for signed in entries {
            // Checked when the folder was opened.
            if let Act::Administrator { key, person } = signed.open_unchecked()?.act
                && key == own
            {
                return Ok(person);
            }
        }
        Err(Problem::new(
            Problem::FOLDER,
            "uncertified",
            "the root has not certified this folder's administrator",
            "Restore the folder `keys`.",
        ))
    }

    /// A decision of the administrator, whose key this folder holds.
    pub(crate) fn decide(&self, core: &mut Core, act: Act) -> Result<(), Problem> {
        core.not_recovering()?;
        core.sign(self.id, act, &self.administrator_key)
    }

    /// A decision that a server may take: devices on invitations, people whom devices introduce.
    pub(crate) fn decide_as_server(&self, core: &mut Core, act: Act) -> Result<(), Problem> {
        core.sign(self.id, act, &self.server_key)
    }

    /// Now.
    pub fn now_ms(&self) -> i64 {
        crate::clock::now_ms()
    }
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| text + &format!("{byte:02x}"))
}

/// Which organisation a database is of: all of it at once.
fn put_identity(db: &Connection, id: OrganisationId, root: PublicKey) -> Result<(), Problem> {
    let transaction = db.transaction()?;
    let put = "INSERT INTO setting(name, value) VALUES(?1, ?2)";
    transaction.execute(put, params!["organisation", id.0])?;
    transaction.execute(put, params!["root", root.0])?;
    transaction.execute(put, params!["epoch", 1i64.to_le_bytes()])?;
    Ok(transaction.commit()?)
}

fn read_key(folder: &Folder, name: &str) -> Result<SigningKey, Problem> {
    let path = folder.key(name);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let seed: Option<Hash> = text.trim().parse().ok();
    let seed = seed.ok_or_else(|| {
        let error = format!("the key {} is missing or damaged", path.display());
        Problem::new(Problem::FOLDER, "key", error, "Restore the folder `keys` from a backup.")
    })?;
    Ok(SigningKey::from_seed(&seed.0))
}

fn restrict(path: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?)
}

/// A password that a person can type: 5 groups of 4 of 32 letters, 100 bits.
pub(crate) fn password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let bytes: [u8; 20] = random();
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}
