//! PostgreSQL: any number of processes over one database, on this machine or, over TLS, on another.
//!
//! Statements wait on the calling thread, as they do for a disk, and no longer than [`ANSWER_WAIT`]. A connection whose database went
//! away is of no more use: whoever keeps connections opens another.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Socket};

use super::address::Address;
use super::tls::{Refused, Tls};
use super::{Connection, Driver, Error, Row, Scope, Sharing, ToValue, Value, ValueRef};
use crate::problem::Problem;

/// How long a statement may take to be answered.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// How long a host may take to answer that it is there.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long a host may take until it can be asked: to answer, to agree on TLS, to believe the password.
const READY_WAIT: Duration = Duration::from_secs(10);
/// How long a statement waits for a lock, in milliseconds. Less than [`ANSWER_WAIT`].
const LOCK_WAIT_MS: u64 = 20_000;
/// How long a process that was stopped in the middle of a transaction keeps others waiting, in milliseconds.
const IDLE_TRANSACTION_MS: u64 = 15_000;
/// The advisory lock under which processes write.
const WRITING: i64 = 0x6b61_7277_616e_0001;
/// The advisory lock under which one process decides about records.
const DECIDING: i64 = 0x6b61_7277_616e_0003;
/// The advisory lock under which one process reads logs into tables.
const PROJECTING: i64 = 0x6b61_7277_616e_0004;
/// The advisory lock under which one process makes tables.
const MIGRATING: i64 = 0x6b61_7277_616e_0002;

/// Where a database is.
#[derive(Clone)]
pub struct Place {
    config: Config,
    tls: Option<Tls>,
    schema: &'static str,
}

impl Place {
    /// The database of an address such as `postgres://user:password@localhost/karwan`, and the schema of it that tables are in.
    pub fn of(address: &str, schema: &'static str) -> Result<Self, Problem> {
        let Address { mut config, tls } = Address::read(address)?;
        let limits = format!(
            "-c search_path={schema} -c lock_timeout={LOCK_WAIT_MS} -c idle_in_transaction_session_timeout={IDLE_TRANSACTION_MS} \
             -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
        );
        let options = config.get_options().map_or_else(|| limits.clone(), |given| format!("{given} {limits}"));
        config
            .application_name("karwan")
            .options(options)
            .connect_timeout(CONNECT_WAIT)
            .keepalives_idle(Duration::from_secs(10))
            .tcp_user_timeout(ANSWER_WAIT);
        Ok(Self { config, tls, schema })
    }

    /// Connects.
    pub fn connect(&self) -> Result<Connection, Error> {
        Ok(Connection::over(self.driver()?))
    }

    fn driver(&self) -> Result<Postgres, Error> {
        let runtime = runtime()?;
        let (config, tls) = (self.config.clone(), self.tls.clone());
        let all_wait = READY_WAIT * u32::try_from(config.get_hosts().len()).unwrap_or(1);
        let connecting = runtime.spawn(async move {
            let ready = async {
                match tls {
                    Some(tls) => ready(&config, tls).await,
                    None => ready(&config, NoTls).await,
                }
            };
            tokio::time::timeout(all_wait, ready).await
        });
        let connected = wait(connecting)?.map_err(|_| Error::Away("connecting failed".to_owned()))?;
        let connected =
            connected.map_err(|_| Error::Away("whoever answers at its address does not come to an end".to_owned()))?;
        let (client, connection) = connected.map_err(away_or_refused)?;
        runtime.spawn(connection);
        Ok(Postgres {
            client: Arc::new(client),
            statements: RefCell::default(),
            hung: Cell::new(false),
            failed: Cell::new(false),
            sent: RefCell::default(),
            in_transaction: Cell::new(false),
        })
    }

    /// Connects and brings the schema to the newest: the table `migration` counts the steps.
    pub fn open(&self, migrations: &[&str]) -> Result<Connection, Problem> {
        let driver = self.driver()?;
        driver.run_all("BEGIN")?;
        driver.execute("SELECT pg_advisory_xact_lock(?1)", &[ValueRef::Integer(MIGRATING)])?;
        let schema = self.schema;
        driver.run_all(&format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE IF NOT EXISTS {schema}.migration(step BIGINT PRIMARY KEY)"
        ))?;
        let found = driver.query("SELECT count(*) FROM migration", &[], 1)?;
        let found: i64 = found.first().ok_or(Error::NoRow)?.get(0)?;
        if found > migrations.len() as i64 {
            return Err(Problem::new(
                Problem::FOLDER,
                "newer-database",
                format!("the database has schema {found}, this program knows {}", migrations.len()),
                "Use the newer karwan that wrote it.",
            ));
        }
        for (step, text) in migrations.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
            driver.run_all(text)?;
            driver.execute("INSERT INTO migration(step) VALUES(?1)", &[ValueRef::Integer(step as i64)])?;
        }
        driver.run_all("COMMIT")?;
        Ok(Connection::over(driver))
    }
}

/// What serves a connection until it ends.
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn ready<T>(config: &Config, tls: T) -> Result<(Client, Served), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    let served = async move {
        // Whoever uses it is told at its next statement.
        connection.await.ok();
    };
    Ok((client, Box::pin(served)))
}

/// Where connections are served.
fn runtime() -> Result<&'static tokio::runtime::Runtime, Error> {
    static RUNTIME: OnceLock<Option<tokio::runtime::Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("database").enable_all().build().ok()
    });
    made.as_ref().ok_or_else(|| Error::Away("no thread for connections".to_owned()))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread, whatever it does else.
fn wait<T>(future: impl Future<Output = T>) -> Result<T, Error> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let until = Instant::now() + ANSWER_WAIT;
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Ok(done);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Away("no answer".to_owned()));
        }
        std::thread::park_timeout(left);
    }
}

/// What of an error is told: never its detail, which quotes rows.
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => {
            let constraint = said.constraint().or(said.table()).map(|name| format!(" at {name}")).unwrap_or_default();
            format!("{}{constraint}", said.code().code())
        }
        None if error.is_closed() => "the connection is closed".to_owned(),
        None => "the connection failed".to_owned(),
    }
}

fn classified(error: tokio_postgres::Error) -> Error {
    let text = told(&error);
    let Some(state) = error.code() else { return Error::Away(text) };
    let passes = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::DISK_FULL,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    // Class 08: the connection.
    if passes.contains(state) || state.code().starts_with("08") { Error::Away(text) } else { Error::Postgres(text) }
}

fn away_or_refused(error: tokio_postgres::Error) -> Error {
    if error.as_db_error().is_some() {
        return classified(error);
    }
    let source = std::error::Error::source(&error);
    if let Some(refused) = source.and_then(|source| source.downcast_ref::<Refused>()) {
        return refused.clone().into();
    }
    // `tokio-postgres` has no name for this one.
    if source.is_some_and(|source| source.to_string() == "server does not support TLS") {
        return Refused::none().into();
    }
    Error::Away("nobody answers at its address".to_owned())
}

/// What a statement that was sent will be answered.
type Sent = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// Statements that are sent before the first of them is looked after.
const SENT_MAX: usize = 256;

struct Postgres {
    client: Arc<Client>,
    /// Statements by the text that was asked for.
    statements: RefCell<BTreeMap<String, tokio_postgres::Statement>>,
    /// A statement was not answered: what the connection is in the middle of is not known.
    hung: Cell<bool>,
    /// A statement of the transaction failed: PostgreSQL rolls it back whatever is asked of it.
    failed: Cell<bool>,
    /// Statements of the transaction that were sent and not looked after yet.
    sent: RefCell<Vec<Sent>>,
    in_transaction: Cell<bool>,
}

/// Statements that a connection keeps.
const STATEMENTS_MAX: usize = 512;

impl Postgres {
    fn asked<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Error> {
        let answered = match wait(answer) {
            Ok(answered) => answered.map_err(classified),
            Err(error) => {
                self.hung.set(true);
                Err(error)
            }
        };
        if answered.is_err() {
            self.failed.set(true);
            // After the first that failed all others are refused: that one says why.
            self.look_after_sent()?;
        }
        answered
    }

    /// Waits for what was sent; the error of the first that failed.
    fn look_after_sent(&self) -> Result<(), Error> {
        for sent in self.sent.take() {
            match wait(sent) {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    self.failed.set(true);
                    return Err(classified(error));
                }
                Err(error) => {
                    self.hung.set(true);
                    self.failed.set(true);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn statement(&self, text: &str) -> Result<tokio_postgres::Statement, Error> {
        if let Some(known) = self.statements.borrow().get(text) {
            return Ok(known.clone());
        }
        let statement = self.asked(self.client.prepare(&numbered(text)))?;
        let mut kept = self.statements.borrow_mut();
        if kept.len() >= STATEMENTS_MAX {
            kept.clear();
        }
        kept.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    fn run_all(&self, text: &str) -> Result<(), Error> {
        self.asked(self.client.batch_execute(text))
    }
}

/// The text with parameters as PostgreSQL writes them: `?3` is `$3`, and `?` the one after the largest before.
fn numbered(text: &str) -> String {
    let mut numbered = String::with_capacity(text.len() + 16);
    let (mut largest, mut quoted) = (0usize, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        quoted ^= letter == '\'';
        if quoted || letter != '?' {
            numbered.push(letter);
            continue;
        }
        let mut digits = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let number = digits.parse().unwrap_or(largest + 1);
        largest = largest.max(number);
        numbered.push_str(&format!("${number}"));
    }
    numbered
}

/// A parameter.
#[derive(Debug)]
struct Given<'a>(ValueRef<'a>);

impl ToSql for Given<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            ValueRef::Null => Ok(IsNull::Yes),
            ValueRef::Integer(number) if *kind == Type::INT8 => number.to_sql(kind, out),
            ValueRef::Integer(number) if *kind == Type::INT4 => i32::try_from(number)?.to_sql(kind, out),
            // PostgreSQL keeps no zero byte in a text.
            ValueRef::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").to_sql(kind, out),
            ValueRef::Text(text) if <&str as ToSql>::accepts(kind) => text.to_sql(kind, out),
            ValueRef::Blob(bytes) if *kind == Type::BYTEA => bytes.to_sql(kind, out),
            _ => Err(format!("a parameter is not {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value of a column, as bytes on the wire say.
struct Found(Value);

impl<'a> FromSql<'a> for Found {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *kind {
            Type::INT8 => Value::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Integer(i64::from(i32::from_sql(kind, raw)?)),
            Type::BOOL => Value::Integer(i64::from(bool::from_sql(kind, raw)?)),
            Type::BYTEA => Value::Blob(raw.to_vec()),
            Type::VOID => Value::Null,
            _ => Value::Text(String::from_sql(kind, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::BOOL | Type::BYTEA | Type::VOID) || <String as FromSql>::accepts(kind)
    }
}

fn given<'a>(parameters: &[ValueRef<'a>]) -> Vec<Given<'a>> {
    parameters.iter().copied().map(Given).collect()
}

fn as_parameters<'a>(given: &'a [Given<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    given.iter().map(|given| given as &(dyn ToSql + Sync)).collect()
}

impl Driver for Postgres {
    fn execute(&self, text: &str, parameters: &[ValueRef<'_>]) -> Result<usize, Error> {
        let statement = self.statement(text)?;
        let given = given(parameters);
        Ok(self.asked(self.client.execute(&statement, &as_parameters(&given)))? as usize)
    }

    fn put(&self, text: &str, parameters: &[ValueRef<'_>]) -> Result<(), Error> {
        if !self.in_transaction.get() {
            return self.execute(text, parameters).map(drop);
        }
        if self.sent.borrow().len() >= SENT_MAX {
            self.look_after_sent()?;
        }
        let (client, statement) = (self.client.clone(), self.statement(text)?);
        let kept: Vec<Value> = parameters.iter().map(|value| Value::from(*value)).collect();
        let mut sent: Sent = Box::pin(async move {
            let given: Vec<Given<'_>> = kept.iter().map(|value| Given(value.to_value())).collect();
            client.execute(&statement, &as_parameters(&given)).await
        });
        // Begun, which sends it; the answer is looked after later.
        match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => self.sent.borrow_mut().push(sent),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => {
                self.failed.set(true);
                return Err(classified(error));
            }
        }
        Ok(())
    }

    fn query(&self, text: &str, parameters: &[ValueRef<'_>], rows_max: usize) -> Result<Vec<Row>, Error> {
        let statement = self.statement(text)?;
        let given = given(parameters);
        let rows = self.asked(self.client.query(&statement, &as_parameters(&given)))?;
        let value = |row: &tokio_postgres::Row, column| {
            let found: Result<Found, _> = row.try_get(column);
            let wrong = |_| Error::Column { column, expected: "a number, text or bytes", found: "another type" };
            Ok(found.map_err(wrong)?.0)
        };
        let row = |row: tokio_postgres::Row| {
            Ok(Row::of((0..row.len()).map(|column| value(&row, column)).collect::<Result<_, Error>>()?))
        };
        rows.into_iter().take(rows_max).map(row).collect()
    }

    fn begin(&self, scope: Scope) -> Result<(), Error> {
        self.failed.set(false);
        self.run_all(match scope {
            Scope::Write => "BEGIN",
            Scope::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })?;
        self.in_transaction.set(true);
        Ok(())
    }

    fn commit(&self) -> Result<(), Error> {
        self.look_after_sent()?;
        if self.failed.get() {
            // It would be rolled back without a word.
            return Err(Error::Postgres("a statement of the transaction failed".to_owned()));
        }
        self.in_transaction.set(false);
        self.run_all("COMMIT")
    }

    fn roll_back(&self) -> Result<(), Error> {
        self.in_transaction.set(false);
        self.sent.take();
        self.run_all("ROLLBACK")
    }

    /// What was deleted is gone for every statement at once; its bytes are overwritten when PostgreSQL uses the pages again.
    fn scrub(&self) -> Result<(), Error> {
        Ok(())
    }

    fn is_usable(&self) -> bool {
        !self.hung.get() && !self.client.is_closed()
    }

    fn keep_others_out(&self, sharing: Sharing) -> Result<(), Error> {
        let (text, lock) = match sharing {
            Sharing::Alone => ("SELECT pg_advisory_lock(?1)", WRITING),
            Sharing::WithAppenders => ("SELECT pg_advisory_lock_shared(?1)", WRITING),
            Sharing::WithAllButDeciders => ("SELECT pg_advisory_lock(?1)", DECIDING),
            Sharing::WithAllButProjectors => ("SELECT pg_advisory_lock(?1)", PROJECTING),
        };
        self.query(text, &[ValueRef::Integer(lock)], 1).map(drop)
    }

    fn let_others_in(&self, sharing: Sharing) -> Result<(), Error> {
        let (text, lock) = match sharing {
            Sharing::Alone => ("SELECT pg_advisory_unlock(?1)", WRITING),
            Sharing::WithAppenders => ("SELECT pg_advisory_unlock_shared(?1)", WRITING),
            Sharing::WithAllButDeciders => ("SELECT pg_advisory_unlock(?1)", DECIDING),
            Sharing::WithAllButProjectors => ("SELECT pg_advisory_unlock(?1)", PROJECTING),
        };
        self.query(text, &[ValueRef::Integer(lock)], 1).map(drop)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_with_a_dollar_and_a_bare_mark_follows_the_largest() {
        assert_eq!(numbered("a = ?2 AND b = ? AND c = '?1' AND d = ?1"), "a = $2 AND b = $3 AND c = '?1' AND d = $1");
    }
}
