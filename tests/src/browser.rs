//! A headless Chromium that looks at the console, and plain HTTP without one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// How long the browser may take to start on a busy machine, and a page to come.
const PATIENCE: Duration = Duration::from_mins(1);
/// Switches for a browser that looks at nothing but this test.
const SWITCHES: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// A browser with its driver; ended with it.
#[derive(Debug)]
pub struct Browser {
    /// What tests click.
    pub client: Client,
    console: String,
    driver: String,
    _process: tokio::process::Child,
}

impl Browser {
    /// A browser of this size that looks at a console; nothing where there is no Chromium here, which is said.
    ///
    /// # Panics
    /// Where it is here and does not start.
    #[allow(clippy::panic, clippy::expect_used)]
    pub async fn open(console: &str, width: u32, height: u32) -> Option<Self> {
        let port = crate::ports::steady_port();
        let driver = tokio::process::Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(process) = driver else {
            println!("skipped: no chromedriver here (apt-get install chromium chromium-driver)");
            return None;
        };
        let address = format!("http://127.0.0.1:{port}");
        // The size of the page, not of a window: a phone is narrower than the narrowest window.
        let options = json!({
            "goog:chromeOptions": {
                "args": SWITCHES,
                "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1.0, "mobile": false, "touch": false}},
            },
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let capabilities: Capabilities = serde_json::from_value(options).expect("capabilities");
        let started = Instant::now();
        let client = loop {
            match ClientBuilder::new(HttpConnector::new()).capabilities(capabilities.clone()).connect(&address).await {
                Ok(client) => break client,
                Err(error) if started.elapsed() > PATIENCE => panic!("the browser does not start: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        Some(Self { client, console: console.to_owned(), driver: format!("127.0.0.1:{port}"), _process: process })
    }

    /// Goes to a path of the console.
    ///
    /// # Panics
    /// Where the browser does not.
    #[allow(clippy::expect_used)]
    pub async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.console)).await.expect("the page comes");
    }

    /// Clicks what a CSS selector finds first.
    ///
    /// # Panics
    /// Where there is nothing.
    #[allow(clippy::panic)]
    pub async fn click(&self, css: &str) {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        let element = found.unwrap_or_else(|error| panic!("nothing to click at {css}: {error}"));
        element.click().await.unwrap_or_else(|error| panic!("{css} cannot be clicked: {error}"));
    }

    /// Types into what a CSS selector finds first.
    ///
    /// # Panics
    /// Where there is nothing.
    #[allow(clippy::panic)]
    pub async fn type_into(&self, css: &str, text: &str) {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        let element = found.unwrap_or_else(|error| panic!("nothing to type into at {css}: {error}"));
        element.send_keys(text).await.unwrap_or_else(|error| panic!("{css} takes no text: {error}"));
    }

    /// The text of what a CSS selector finds first, waited for.
    ///
    /// # Panics
    /// Where there is nothing.
    #[allow(clippy::panic)]
    pub async fn text(&self, css: &str) -> String {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        let element = found.unwrap_or_else(|error| panic!("nothing to read at {css}: {error}"));
        element.text().await.unwrap_or_default()
    }

    /// Signs in, and waits until somebody is.
    pub async fn sign_in(&self, name: &str, password: &str) {
        self.go("/sign-in").await;
        self.type_into("input[name=name]", name).await;
        self.type_into("input[name=password]", password).await;
        self.click("main button").await;
        self.text(".person").await;
    }

    /// What a script in the page gives.
    ///
    /// # Panics
    /// Where it fails.
    #[allow(clippy::expect_used)]
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("the script runs")
    }

    /// Keeps a picture of the page under `target/tests/screenshots`, after its fonts have come.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[allow(clippy::expect_used)]
    pub async fn picture(&self, name: &str) {
        self.client.execute_async("document.fonts.ready.then(() => arguments[0]())", Vec::new()).await.expect("fonts come");
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tests/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        let picture = self.client.screenshot().await.expect("a picture");
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("the picture is written");
    }

    /// Errors that pages and their scripts reported since this was asked last.
    ///
    /// # Panics
    /// Where the driver does not tell.
    #[allow(clippy::expect_used)]
    pub async fn errors(&self) -> Vec<String> {
        let session = self.client.session_id().await.expect("a session").expect("a session");
        let path = format!("/session/{session}/se/log");
        let answer = request(&self.driver, "POST", &path, &[("Content-Type", "application/json")], "{\"type\":\"browser\"}");
        let told: Value = serde_json::from_str(&answer.body).expect("the driver's log");
        let entries = told["value"].as_array().expect("entries").iter();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Ends the browser.
    pub async fn close(self) {
        self.client.close().await.ok();
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl HttpAnswer {
    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// The value of a cookie that it sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.headers.iter().filter(|(found, _)| found == "set-cookie");
        let mut values =
            cookies.filter_map(|(_, cookie)| cookie.split(';').next()?.strip_prefix(&format!("{name}=")).map(str::to_owned));
        values.next()
    }

    /// The value of the first hidden field of this name.
    pub fn field(&self, name: &str) -> String {
        let begin = format!("name=\"{name}\" value=\"");
        let rest = self.body.split_once(&begin).map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default().to_owned()
    }
}

/// One HTTP request on a connection of its own.
///
/// # Panics
/// Where nobody answers in HTTP.
#[allow(clippy::expect_used)]
pub fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> HttpAnswer {
    let address = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).expect("the request is sent");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line of the head");
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let status = lines.first().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).expect("a status");
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    let headers: Vec<(String, String)> = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    // Not every server closes when it is asked to.
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, length)| length.parse().ok());
    let mut bytes = vec![0; length.unwrap_or(0)];
    match length {
        Some(_) => reader.read_exact(&mut bytes).expect("the whole body"),
        None => drop(reader.read_to_end(&mut bytes).expect("a body")),
    }
    HttpAnswer { status, headers, body: String::from_utf8_lossy(&bytes).into_owned() }
}
