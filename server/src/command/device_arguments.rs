//! What the command line takes for a field device's folder, and the help that says so.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

/// Which device.
#[derive(Debug, Args)]
pub(super) struct DeviceFolder {
    /// Folder of the device
    #[arg(value_name = "DEV")]
    pub folder: PathBuf,
    /// File with the device's key; KARWAN_KEY_FILE, else DEV.key beside the folder, where nothing is said
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// A field device.
#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// Join an organisation with an invitation
    #[command(after_help = "Example:\n  karwan device enrol phone karwan1:… --name phone-7 --person Laila")]
    Enrol {
        #[command(flatten)]
        device: DeviceFolder,
        /// The invitation's text
        invitation: String,
        /// What the device is called
        #[arg(long)]
        name: String,
        /// Who uses it; the device's name where nobody is named
        #[arg(long)]
        person: Option<String>,
    },
    /// List the forms that may be filled
    #[command(after_help = "Example:\n  karwan device forms phone")]
    Forms {
        #[command(flatten)]
        device: DeviceFolder,
    },
    /// Interview somebody: question by question, or from an answers file
    #[command(
        after_help = "Examples:\n  karwan device fill phone household\n  karwan device fill phone household --answers answers.txt\n  \
        karwan device fill phone --resume 3f1c…\n\nWhile it asks: Enter keeps what is there, ? helps, < goes back, !clear empties, \
        !draft leaves a draft. Each answer is kept before the next question is asked."
    )]
    Fill(FillArguments),
    /// End a draft: it becomes a record that is sent at the next sync
    #[command(after_help = "Example:\n  karwan device finalize phone 3f1c…")]
    Finalize {
        #[command(flatten)]
        device: DeviceFolder,
        /// The draft
        record: String,
    },
    /// Throw a draft away
    #[command(after_help = "Example:\n  karwan device discard phone 3f1c…")]
    Discard {
        #[command(flatten)]
        device: DeviceFolder,
        /// The draft
        record: String,
    },
    /// Change a record
    #[command(
        group = ArgGroup::new("change").required(true).multiple(true).args(["set", "add", "remove"]),
        after_help = "Example:\n  karwan device edit phone 3f1c… --set /data/phone=0700000001 '/data/member[2]/m_age=5'\n\n\
        Positions are those before the edit: instances are added first and removed last."
    )]
    Edit(EditArguments),
    /// List what is on the device: drafts first, then the newest
    #[command(after_help = "Example:\n  karwan device list phone --search Karimi")]
    List {
        #[command(flatten)]
        device: DeviceFolder,
        /// Words to be found, in whatever script's spelling
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only what the device's own person made
        #[arg(long)]
        mine: bool,
        /// Only of this kind
        #[arg(long, value_parser = super::arguments::KINDS)]
        kind: Option<String>,
    },
    /// Show a record, draft or entity: its values with where each is from, and its history
    #[command(after_help = "Example:\n  karwan device show phone 3f1c…")]
    Show {
        #[command(flatten)]
        device: DeviceFolder,
        /// The record or entity
        record: String,
    },
    /// Answer a question that asks for a file; it goes to the server behind the records
    #[command(after_help = "Example:\n  karwan device attach phone 3f1c… /data/photo photo.jpg")]
    Attach {
        #[command(flatten)]
        device: DeviceFolder,
        /// The record
        record: String,
        /// The question
        #[arg(value_name = "REF")]
        reference: String,
        /// The file
        file: PathBuf,
    },
    /// Save the file that an answer refers to; one that is not on the device is fetched from the server
    #[command(after_help = "Example:\n  karwan device save phone 3f1c… /data/photo photo.jpg")]
    Save {
        #[command(flatten)]
        device: DeviceFolder,
        /// The record
        record: String,
        /// The question
        #[arg(value_name = "REF")]
        reference: String,
        /// Where to; nothing is written over
        file: PathBuf,
    },
    /// Let another device on the same network sync with this one, where there is no server
    #[command(
        after_help = "Example:\n  karwan device listen phone\n\nIt shows a QR code and a text; on the other device: karwan device sync OTHER --with TEXT. \
        What comes is provisional until the server has judged it, and goes there with whichever device comes home first.\n\n\
        With --json one line when it listens, {\"text\", \"addresses\"}, and the report of karwan device sync after each meeting."
    )]
    Listen {
        #[command(flatten)]
        device: DeviceFolder,
        /// Address and port to listen at; port 0 takes a free one
        #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:0")]
        listen: std::net::SocketAddr,
        /// Address under which the other device reaches this one, if it is not one of this machine's
        #[arg(long, value_name = "ADDRESS")]
        address: Vec<std::net::IpAddr>,
        /// How long to wait for a device
        #[arg(long, value_name = "N", default_value_t = 10)]
        minutes: u64,
        /// Go on with another text after each meeting
        #[arg(long)]
        many: bool,
    },
    /// Get the key of a device back whose key file is lost, by the organisation's root key
    #[command(after_help = "Example:\n  karwan device recover phone --root-key org-root.key")]
    Recover {
        #[command(flatten)]
        device: DeviceFolder,
        /// The file that karwan init made
        #[arg(long, value_name = "FILE")]
        root_key: PathBuf,
    },
    /// Remove everything from a device
    #[command(after_help = "Example:\n  karwan device wipe phone")]
    Wipe {
        #[command(flatten)]
        device: DeviceFolder,
        /// Also drafts, and work that is nowhere else or in no backup
        #[arg(long)]
        force: bool,
    },
    /// Bring what is unsent to the server and what is new back; or sync with another device that listens
    #[command(after_help = "Examples:\n  karwan device sync phone\n  karwan device sync phone --with karwan-meet1:AQ…")]
    Sync {
        #[command(flatten)]
        device: DeviceFolder,
        /// Address of the server, the text of an invitation of the same organisation, or the text that another device shows
        #[arg(long, value_name = "ADDRESS_OR_QR_TEXT")]
        with: Option<String>,
        /// The network is paid by the byte: large attachments wait for another one
        #[arg(long)]
        metered: bool,
        /// Try so many times where the server is not reached or busy, later each time
        #[arg(long, value_name = "N", default_value_t = 1)]
        tries: u32,
    },
    /// Let photographs and files go that are safe at the server, the oldest first; karwan device save fetches them again
    #[command(
        after_help = "Example:\n  karwan device free-space phone --keep 200000000\n\nStays: what the server has not, what belongs to a draft or to \
        anything unsent or not accepted, and what was made here until the server was backed up twice since."
    )]
    FreeSpace {
        #[command(flatten)]
        device: DeviceFolder,
        /// Let no more go once all together take at most so many bytes
        #[arg(long, value_name = "BYTES", default_value_t = 0)]
        keep: u64,
    },
    /// Show or set how many bytes of attachments a day may carry, both ways together
    #[command(after_help = "Examples:\n  karwan device data-saver phone 5000000\n  karwan device data-saver phone off")]
    DataSaver {
        #[command(flatten)]
        device: DeviceFolder,
        /// Bytes a day (UTC), or off
        #[arg(value_name = "BYTES|off")]
        bytes: Option<String>,
    },
}

/// What filling takes.
#[derive(Debug, Args)]
pub(super) struct FillArguments {
    #[command(flatten)]
    pub device: DeviceFolder,
    /// Identifier of the form
    #[arg(required_unless_present = "resume")]
    pub form: Option<String>,
    /// `name=value` lines, or with - from standard input, also several interviews as JSON lines {REF: VALUE}
    #[arg(long, value_name = "FILE|-")]
    pub answers: Option<PathBuf>,
    /// Language of the questions
    #[arg(long, value_name = "NAME")]
    pub language: Option<String>,
    /// Leave a draft
    #[arg(long)]
    pub draft: bool,
    /// Who interviews; who uses the device where nobody is named
    #[arg(long = "as", value_name = "PERSON")]
    pub person: Option<String>,
    /// Go on with this draft
    #[arg(long, value_name = "RECORD")]
    pub resume: Option<String>,
}

/// What editing takes.
#[derive(Debug, Args)]
pub(super) struct EditArguments {
    #[command(flatten)]
    pub device: DeviceFolder,
    /// The record
    pub record: String,
    /// Answer a question; where the question keeps events, the answer is one more
    #[arg(long, value_name = "REF=VALUE", num_args = 1..)]
    pub set: Vec<String>,
    /// Add an instance to a repeat
    #[arg(long, value_name = "REF", num_args = 1..)]
    pub add: Vec<String>,
    /// Remove an instance
    #[arg(long, value_name = "REF", num_args = 1..)]
    pub remove: Vec<String>,
    /// Leave the edit as a draft
    #[arg(long)]
    pub draft: bool,
    /// Who edits; who uses the device where nobody is named
    #[arg(long = "as", value_name = "PERSON")]
    pub person: Option<String>,
}
