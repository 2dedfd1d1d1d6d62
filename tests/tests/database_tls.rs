//! A PostgreSQL on another machine is spoken to over TLS or not at all. The other machine is this one under a name that is not known to be here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use karwan_server::database::postgres::Place;
use karwan_server::problem::Problem;
use karwan_tests::command::karwan;
use karwan_tests::postgres::{Authority, Cluster};
use karwan_tests::world::Server;

const NAME: &str = "db.karwan.test";
/// The most that may pass until a host that never comes to an end is given up.
const GIVEN_UP: Duration = Duration::from_secs(20);

/// The address of a database as another machine under this name.
fn elsewhere(address: &str, rest: &str) -> String {
    format!("{}?hostaddr=127.0.0.1&{rest}", address.replace("127.0.0.1", NAME))
}

fn attempt(address: &str) -> Result<Vec<bool>, Problem> {
    let db = Place::of(address, "karwan")?.connect()?;
    let has_tls = db.prepare("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    Ok(has_tls.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?)
}

#[test]
fn another_machine_is_spoken_to_over_tls_with_its_certificate_and_name_checked_or_not_at_all() {
    let Some(mut cluster) = Cluster::start() else { return };
    let folder = tempfile::TempDir::new().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    std::fs::write(folder.path().join("the ca.pem"), ours.pem()).unwrap();
    let plain = cluster.database();
    let roots = format!("sslrootcert={}/the%20ca.pem", folder.path().display());
    let address = elsewhere(&plain, &roots);
    let refused = |address: &str, why: &str| {
        let problem = attempt(address).unwrap_err();
        assert!(problem.error.contains(why), "expected {why:?}: {problem:?}");
        assert!(problem.mend.len() > 20 && !problem.error.contains("secret"), "{problem:?}");
    };
    refused(&address, "offers no TLS");
    cluster.speak_tls(&ours.certificate("other.karwan.test", false));
    refused(&address, "is not for db.karwan.test");
    cluster.speak_tls(&theirs.certificate(NAME, false));
    refused(&address, "signed by nobody in");
    cluster.speak_tls(&ours.certificate(NAME, true));
    refused(&address, "has expired");
    cluster.speak_tls(&ours.certificate(NAME, false));
    assert_eq!(attempt(&address).unwrap(), [true]);
    assert_eq!(attempt(&format!("{address}&sslmode=verify-full")).unwrap(), [true]);
    assert_eq!(attempt(&plain).unwrap(), [false], "on this machine it is not needed");
    refused(&format!("{plain}?{roots}&sslmode=require"), "is not for 127.0.0.1");
    // The password is bound to the certificate.
    cluster.ask(&plain, "CREATE ROLE remote LOGIN PASSWORD 'secret'");
    let remote = |password: &str| address.replace("karwan@", &format!("remote:{password}@")) + "&channel_binding=require";
    assert_eq!(attempt(&remote("secret")).unwrap(), [true]);
    refused(&remote("other-secret"), "28P01");

    // The whole program, in whose folder the authority's file is named by where it is, not by where `init` was run.
    let init = std::process::Command::new(karwan())
        .args(["init", "org", "--database", &elsewhere(&plain, "sslrootcert=the%20ca.pem")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(init.status.success(), "{init:?}");
    let organisation = folder.path().join("org");
    let server = Server::start(&organisation, "127.0.0.1:0");
    let users = "SELECT count(*) - sum(ssl::int), count(*) > 0 FROM pg_stat_ssl NATURAL JOIN pg_stat_activity WHERE application_name = 'karwan'";
    assert_eq!(cluster.ask(&plain, users), ["0|t"], "every connection of the server is encrypted");
    drop(server);
    cluster.speak_tls(&ours.certificate(NAME, true));
    let told = karwan_tests::command::run(&["devices", organisation.to_str().unwrap()]);
    assert!(told.status == 5 && told.stderr.contains("has expired"), "{told:?}");
}

#[test]
fn whoever_has_no_tls_is_told_nothing_and_whoever_does_not_come_to_an_end_is_given_up() {
    let folder = tempfile::TempDir::new().unwrap();
    let roots = folder.path().join("ca.pem");
    std::fs::write(&roots, Authority::new().pem()).unwrap();
    // What each answers to the question whether it has TLS; nothing, too.
    for (answer, ends, why) in [("N", true, "offers no TLS"), ("S", false, "come to an end"), ("", false, "come to an end")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0u8; 8];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).ok();
            rest
        });
        let address = format!("postgres://k:secret@{NAME}:{port}/karwan?hostaddr=127.0.0.1&sslrootcert={}", roots.display());
        let since = Instant::now();
        let problem = attempt(&address).unwrap_err();
        println!("{answer:?}: {problem:?} after {:?}", since.elapsed());
        assert!(problem.error.contains(why) && since.elapsed() < GIVEN_UP, "{answer:?}: {problem:?}");
        let heard = heard.join().unwrap();
        assert!(!String::from_utf8_lossy(&heard).contains("secret"));
        assert_eq!(heard.is_empty(), ends || answer.is_empty(), "nothing but the question");
    }
}
