//! What the command line takes for the organisation's folder, and the help that says so.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use super::device_arguments::DeviceCommand;

/// Roles as they are given.
const ROLES: [&str; 5] = ["enumerator", "supervisor", "data-manager", "operator", "administrator"];
/// Kinds as they are given.
pub(super) const KINDS: [&str; 2] = ["interview", "entity"];
/// Statuses as they are given.
const STATUSES: [&str; 5] = ["draft", "finalised", "sent", "returned", "approved"];

/// Collect data offline on many devices; nothing is lost and nothing is silently overwritten.
#[derive(Debug, Parser)]
#[command(
    name = "karwan",
    version,
    disable_help_subcommand = true,
    after_help = "Example:\n  karwan demo\n\nORG is the folder of an organisation, DEV the folder of a field device. \
    Exit status: 0 done, 1 failed, 2 usage, 3 bad input, 4 refused, 5 not reachable, 6 folder locked or damaged."
)]
pub(super) struct Arguments {
    /// Print one JSON value on standard output; errors as JSON on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Everything that the command does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an organisation
    #[command(after_help = "Example:\n  karwan init org --name 'Voluntary return'")]
    Init {
        /// Folder to make
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// What it is called; the folder's name where nothing is said
        #[arg(long)]
        name: Option<String>,
        /// Keep everything in this PostgreSQL, which several servers may use, instead of in the folder: postgres://USER:PASSWORD@HOST/DATABASE
        #[arg(long, value_name = "ADDRESS")]
        database: Option<String>,
    },
    /// Run the server: devices sync with it, people look at its console
    #[command(after_help = "Example:\n  karwan serve org --listen 0.0.0.0:7447 --console 127.0.0.1:7448")]
    Serve {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// Where devices sync (UDP); port 0 takes a free one
        #[arg(long, default_value = "0.0.0.0:7447")]
        listen: SocketAddr,
        /// Where the console listens; port 0 takes a free one
        #[arg(long, default_value = "127.0.0.1:7448")]
        console: SocketAddr,
    },
    /// People
    #[command(subcommand, after_help = "Example:\n  karwan user list org")]
    User(UserCommand),
    /// Caseloads: what replicates together
    #[command(subcommand, after_help = "Example:\n  karwan caseload add org mashhad")]
    Caseload(CaseloadCommand),
    /// Ready-to-use forms
    #[command(subcommand, after_help = "Example:\n  karwan programme list")]
    Programme(ProgrammeCommand),
    /// Forms: check, publish, look at
    #[command(subcommand, after_help = "Example:\n  karwan form check household.xlsx")]
    Form(FormCommand),
    /// Invite a device: a QR code and a text, used once
    #[command(after_help = "Example:\n  karwan invite org --role enumerator --caseload mashhad --expires 7d")]
    Invite {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The most that anybody may do on the device
        #[arg(long, value_parser = ROLES)]
        role: String,
        /// What the device holds
        #[arg(long, value_name = "NAME", num_args = 1.., required = true)]
        caseload: Vec<String>,
        /// How long the invitation lives: 7d, 12h, 30m, 60s
        #[arg(long, default_value = "7d", value_parser = super::organisation::life_ms)]
        expires: i64,
        /// Where devices reach the server; where it last listened if nothing is said
        #[arg(long, value_name = "HOST:PORT", num_args = 1..)]
        address: Vec<String>,
    },
    /// Interviews and entities
    #[command(after_help = "Example:\n  karwan records org --form household --search Karimi")]
    Records(RecordsArguments),
    /// Give records to somebody
    #[command(after_help = "Example:\n  karwan assign org 3f1c… --to Laila --due 2026-12-01")]
    Assign {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The records
        #[arg(value_name = "RECORD", required = true)]
        records: Vec<String>,
        /// Name or identifier of a person
        #[arg(long, value_name = "PERSON")]
        to: String,
        /// Until when
        #[arg(long, value_name = "DATE")]
        due: Option<String>,
    },
    /// What a person must decide
    #[command(subcommand, after_help = "Example:\n  karwan review list org")]
    Review(ReviewCommand),
    /// Devices and when they were last here
    #[command(after_help = "Example:\n  karwan devices org")]
    Devices(DevicesArguments),
    /// Move a record to another caseload
    #[command(after_help = "Example:\n  karwan move org 3f1c… --to tehran")]
    Move {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The record
        record: String,
        /// The other caseload
        #[arg(long, value_name = "CASELOAD")]
        to: String,
        /// Who decides; the administrator where nobody is named
        #[arg(long = "as", value_name = "PERSON")]
        person: Option<String>,
    },
    /// Erase a record, or a part of it, everywhere
    #[command(after_help = "Example:\n  karwan erase org 3f1c… --reason 'Asked by the family'")]
    Erase {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The record
        record: String,
        /// Only this part
        #[arg(long, value_name = "REF")]
        part: Option<String>,
        /// Why: kept on the server only
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who decides; the administrator where nobody is named
        #[arg(long = "as", value_name = "PERSON")]
        person: Option<String>,
    },
    /// Write a backup, also while a server runs: FILE, and FILE.keys with the keys of the records
    #[command(after_help = "Example:\n  karwan backup org org-2026-11-25.backup\n\n\
        FILE holds logs, names, forms, media and the keys of server and administrator: keep it where only administrators reach it.\n\
        FILE.keys makes the answers in it readable. Keep it apart from FILE, and for 30 days only: what was erased since is then\n\
        unreadable in every backup. A restore needs a FILE.keys that was written with FILE or later.")]
    Backup {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The backup
        file: PathBuf,
    },
    /// Show where the files that answers refer to are kept, or keep them in a bucket
    #[command(
        after_help = "Example:\n  karwan attachments org --store 's3://files/org?endpoint=https://minio.example.org:9000'\n\n\
        The server's environment has the access key: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. What is in the folder goes to the bucket at the\n\
        next sweep (hourly, while a server runs). Backups do not have what is in the bucket, which is encrypted: let the bucket keep versions.\n\
        To use another bucket, copy the objects there first; give a restored copy that is for training another before its recovery is closed."
    )]
    Attachments {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// Keep them there: s3://BUCKET/FOLDER, and ?endpoint=URL&region=NAME for another store than Amazon's
        #[arg(long, value_name = "ADDRESS")]
        store: Option<String>,
    },
    /// Make an organisation's folder from a backup
    #[command(after_help = "Example:\n  karwan restore org-2026-11-25.backup org\n\n\
        The server then recovers: devices bring back what came after the backup, and nothing is given out until\n\
        karwan recovery close ORG.")]
    Restore {
        /// The backup
        file: PathBuf,
        /// Folder to make
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The keys of the records; FILE.keys where nothing is said
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
        /// Put everything into this PostgreSQL, which must be empty, instead of into the folder
        #[arg(long, value_name = "ADDRESS")]
        database: Option<String>,
    },
    /// After a restore
    #[command(subcommand, after_help = "Example:\n  karwan recovery close org")]
    Recovery(RecoveryCommand),
    /// Write a form's records as CSV files
    #[command(after_help = "Example:\n  karwan export org --form household --csv tables")]
    Export {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// Identifier of the form
        #[arg(long)]
        form: String,
        /// Folder for the files
        #[arg(long, value_name = "DIR")]
        csv: PathBuf,
    },
    /// Tables that are read out of the logs
    #[command(subcommand, after_help = "Example:\n  karwan projection rebuild org")]
    Projection(ProjectionCommand),
    /// Measure a server with many simulated devices that come home
    #[command(
        after_help = "Examples:\n  karwan bench bench-org --devices 500 --records 25000\n  karwan bench 192.0.2.7:7447 --invitations FILE --devices 100 \
        --records 10000 --within 60\n\nWhat they bring is made up: a server that works has no place for it. Ctrl-C gives the table so far."
    )]
    Bench(BenchArguments),
    /// See the whole thing work: five phones, two teams, one server
    #[command(after_help = "Example:\n  karwan demo --exit --report demo.json")]
    Demo {
        /// Where; a temporary folder where nothing is said
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        /// End when everything was shown
        #[arg(long)]
        exit: bool,
        /// Also write what is printed, as JSON
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// A field device without a screen
    #[command(subcommand, after_help = "Example:\n  karwan device fill phone household")]
    Device(DeviceCommand),
}

/// How a benchmark is run.
#[derive(Debug, Args)]
pub(super) struct BenchArguments {
    /// Where the server listens, or a folder in which an organisation is made and served
    #[arg(value_name = "ADDRESS|ORG")]
    target: String,
    /// How many devices
    #[arg(long)]
    devices: u32,
    /// How many records they bring, all together
    #[arg(long)]
    records: u32,
    /// For an address: a file with an invitation for each device, one a line
    #[arg(long, value_name = "FILE")]
    invitations: Option<PathBuf>,
    /// For a folder: keep the organisation in this PostgreSQL, where there is none yet: postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, value_name = "ADDRESS", conflicts_with = "invitations")]
    database: Option<String>,
    /// How many devices share a caseload, where the organisation is made here
    #[arg(long, value_name = "DEVICES", default_value_t = 5)]
    team: u32,
    /// In how many sessions a device brings its records
    #[arg(long, default_value_t = 1)]
    sessions: u32,
    /// About how long a device waits from one session to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pause: f64,
    /// Within how long the devices come home; 0: all at once
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    within: f64,
    /// Where to write the figures, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl BenchArguments {
    /// As the benchmark takes them.
    pub(super) fn options(self) -> crate::bench::Options {
        crate::bench::Options {
            target: self.target,
            invitations: self.invitations,
            database: self.database,
            devices: self.devices as usize,
            records: u64::from(self.records),
            team: self.team as usize,
            sessions: self.sessions as usize,
            pause_s: self.pause,
            within_s: self.within,
            report: self.report,
        }
    }
}

/// People.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a person
    #[command(after_help = "Example:\n  karwan user add org Zahra --role supervisor --caseload mashhad")]
    Add {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// What the person is called
        name: String,
        /// What the person may do
        #[arg(long, value_parser = ROLES)]
        role: String,
        /// Where
        #[arg(long, value_name = "NAME", num_args = 1..)]
        caseload: Vec<String>,
        /// Read the password for the console from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// List people
    #[command(after_help = "Example:\n  karwan user list org")]
    List {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
    },
    /// Grant caseloads to a person
    #[command(after_help = "Example:\n  karwan user grant org Zahra --caseload tehran")]
    Grant(EntitleArguments),
    /// Take caseloads from a person: what they sent before counts, anything else waits
    #[command(after_help = "Example:\n  karwan user withdraw org Zahra --caseload tehran")]
    Withdraw(EntitleArguments),
    /// Take everything from a person from now on
    #[command(after_help = "Example:\n  karwan user disable org Zahra")]
    Disable {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// Name or identifier
        name: String,
    },
}

/// Caseloads.
#[derive(Debug, Subcommand)]
pub(super) enum CaseloadCommand {
    /// Add a caseload
    #[command(after_help = "Example:\n  karwan caseload add org mashhad")]
    Add {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// What it is called
        name: String,
    },
    /// List caseloads
    #[command(after_help = "Example:\n  karwan caseload list org")]
    List {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
    },
}

/// Programmes.
#[derive(Debug, Subcommand)]
pub(super) enum ProgrammeCommand {
    /// List what is ready to use
    #[command(after_help = "Example:\n  karwan programme list")]
    List,
    /// Publish the forms of a programme
    #[command(after_help = "Example:\n  karwan programme add org voluntary-return --caseload mashhad")]
    Add {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// Name of the programme
        name: String,
        /// Where
        #[arg(long)]
        caseload: String,
    },
}

/// Forms.
#[derive(Debug, Subcommand)]
pub(super) enum FormCommand {
    /// Check workbooks: what was understood, or every fault with its place and its mend
    #[command(after_help = "Example:\n  karwan form check household.xlsx visit.xlsx")]
    Check {
        /// The workbooks
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Publish a form in a caseload
    #[command(after_help = "Example:\n  karwan form add org household.xlsx --caseload mashhad")]
    Add {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The workbook
        file: PathBuf,
        /// Where
        #[arg(long, value_name = "NAME")]
        caseload: String,
        /// Folder with the files that the form names
        #[arg(long, value_name = "DIR")]
        media: Option<PathBuf>,
    },
    /// List forms
    #[command(after_help = "Example:\n  karwan form list org")]
    List {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
    },
    /// Begin no new interviews with a form
    #[command(after_help = "Example:\n  karwan form retire org household")]
    Retire {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// Identifier or hash
        form: String,
    },
    /// Ask the form's engine: events in, states out, one JSON line each
    #[command(after_help = "Example:\n  karwan form trace household.xlsx < events.jsonl > states.jsonl")]
    Trace {
        /// The workbook or XForm
        form: PathBuf,
        /// Folder with the files that the form names
        #[arg(long, value_name = "DIR")]
        media: Option<PathBuf>,
        /// Language of labels
        #[arg(long, value_name = "NAME")]
        language: Option<String>,
        /// Fixes the clock
        #[arg(long, value_name = "RFC3339")]
        now: Option<String>,
    },
    /// An answers file to fill in
    #[command(after_help = "Example:\n  karwan form template household.xlsx > answers.txt")]
    Template {
        /// The workbook
        form: PathBuf,
        /// Language of the questions
        #[arg(long, value_name = "NAME")]
        language: Option<String>,
    },
    /// Write a workbook as an ODK XForm
    #[command(after_help = "Example:\n  karwan form convert household.xlsx household.xml")]
    Convert {
        /// The workbook
        form: PathBuf,
        /// The XForm
        #[arg(value_name = "OUT.xml")]
        out: PathBuf,
    },
    /// A form as a person reads it: questions in order, each with its logic
    #[command(after_help = "Example:\n  karwan form show household.xlsx --language fa")]
    Show {
        /// The workbook
        form: PathBuf,
        /// Language of the questions
        #[arg(long, value_name = "NAME")]
        language: Option<String>,
    },
}

/// Lists records, or shows one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct RecordsArguments {
    /// One record
    #[command(subcommand)]
    pub command: Option<RecordsCommand>,
    /// Folder of the organisation
    #[arg(value_name = "ORG", required = true)]
    pub organisation: Option<PathBuf>,
    /// Only of this form
    #[arg(long)]
    pub form: Option<String>,
    /// Only in this caseload
    #[arg(long)]
    pub caseload: Option<String>,
    /// Only of this kind
    #[arg(long, value_parser = KINDS)]
    pub kind: Option<String>,
    /// Only with this status
    #[arg(long, value_parser = STATUSES)]
    pub status: Option<String>,
    /// Words to be found, in whatever script's spelling
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
}

/// One record.
#[derive(Debug, Subcommand)]
pub(super) enum RecordsCommand {
    /// Show a record or an entity: its values with where each is from, and its history
    #[command(after_help = "Example:\n  karwan records show org 3f1c…")]
    Show {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The record or entity
        record: String,
    },
}

/// Reviews.
#[derive(Debug, Subcommand)]
pub(super) enum ReviewCommand {
    /// List what nobody has decided
    #[command(after_help = "Example:\n  karwan review list org")]
    List {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
    },
    /// Decide an item
    #[command(
        group = ArgGroup::new("decision").required(true).args(["value", "keep", "accept", "reject"]),
        after_help = "Example:\n  karwan review resolve org 9a41… --value 0700000001 --note 'Called the family'"
    )]
    Resolve {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The item, as it was listed
        item: String,
        /// This value
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        value: Option<String>,
        /// What came from this device
        #[arg(long, value_name = "DEVICE")]
        keep: Option<String>,
        /// It stands as it is; of a duplicate: it is one person
        #[arg(long)]
        accept: bool,
        /// It does not stand; of a duplicate: they are different people
        #[arg(long)]
        reject: bool,
        /// Why
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Who decides; the administrator where nobody is named
        #[arg(long = "as", value_name = "PERSON")]
        person: Option<String>,
    },
    /// Send a record back to who made it
    #[command(after_help = "Example:\n  karwan review return org 3f1c… --note 'Ask for the document number'")]
    Return {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The record
        record: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        note: String,
        /// Who decides; the administrator where nobody is named
        #[arg(long = "as", value_name = "PERSON")]
        person: Option<String>,
    },
    /// Let a record stand
    #[command(after_help = "Example:\n  karwan review approve org 3f1c…")]
    Approve {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The record
        record: String,
        /// Who decides; the administrator where nobody is named
        #[arg(long = "as", value_name = "PERSON")]
        person: Option<String>,
    },
    /// Let everything count that waits from a device
    #[command(after_help = "Example:\n  karwan review adopt org phone-7")]
    Adopt {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// The device
        device: String,
        /// Who decides; the administrator where nobody is named
        #[arg(long = "as", value_name = "PERSON")]
        person: Option<String>,
    },
}

/// Lists devices, or revokes one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct DevicesArguments {
    /// One device
    #[command(subcommand)]
    pub command: Option<DevicesCommand>,
    /// Folder of the organisation
    #[arg(value_name = "ORG", required = true)]
    pub organisation: Option<PathBuf>,
}

/// One device.
#[derive(Debug, Subcommand)]
pub(super) enum DevicesCommand {
    /// Grant caseloads to a device
    #[command(after_help = "Example:\n  karwan devices grant org phone-7 --caseload tehran")]
    Grant(EntitleArguments),
    /// Take caseloads from a device: what it sent before counts, anything else waits
    #[command(after_help = "Example:\n  karwan devices withdraw org phone-7 --caseload tehran")]
    Withdraw(EntitleArguments),
    /// Take everything from a device from now on
    #[command(after_help = "Example:\n  karwan devices revoke org phone-7")]
    Revoke {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
        /// Name or identifier
        device: String,
    },
}

/// Whose caseloads.
#[derive(Debug, Args)]
pub(super) struct EntitleArguments {
    /// Folder of the organisation
    #[arg(value_name = "ORG")]
    pub organisation: PathBuf,
    /// Name or identifier
    pub name: String,
    /// The caseloads
    #[arg(long, value_name = "NAME", num_args = 1.., required = true)]
    pub caseload: Vec<String>,
}

/// Recovery.
#[derive(Debug, Subcommand)]
pub(super) enum RecoveryCommand {
    /// Who has come home since the restore, and what they brought
    #[command(after_help = "Example:\n  karwan recovery status org")]
    Status {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
    },
    /// Give out again what devices brought back
    #[command(after_help = "Example:\n  karwan recovery close org")]
    Close {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
    },
}

/// Projections.
#[derive(Debug, Subcommand)]
pub(super) enum ProjectionCommand {
    /// Drop the tables and read the logs again
    #[command(after_help = "Example:\n  karwan projection rebuild org")]
    Rebuild {
        /// Folder of the organisation
        #[arg(value_name = "ORG")]
        organisation: PathBuf,
    },
}
