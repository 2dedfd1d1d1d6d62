//! One visit of the console: what the browser sent, who that is, and what that person may see and do.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HOST};
use axum::http::request::Parts;
use karwan_proto::{PersonId, Role};

use super::Console;
use super::door::Told;
use super::fault::{Fault, Forbidden};
use super::page::Page;
use super::say::Language;
use crate::host::Host;
use crate::query::Scope;

/// Holds a session's secret.
pub const SESSION_COOKIE: &str = "karwan_session";
/// Holds what tokens are made of before somebody has signed in.
pub const VISITOR_COOKIE: &str = "karwan_visitor";
/// Holds the language chosen.
pub const LANGUAGE_COOKIE: &str = "karwan_language";
/// Longest cookie that is looked at, in bytes.
const COOKIE_BYTES_MAX: usize = 200;

/// What the browser sent.
#[derive(Debug, Clone)]
pub struct Asked {
    pub session: Option<String>,
    pub visitor: Option<String>,
    pub language: Language,
    /// Path and query.
    pub path: String,
    pub address: IpAddr,
    /// Cookies are for HTTPS only, unless the browser is on this machine.
    pub secure: bool,
}

impl FromRequestParts<Arc<Console>> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Console>) -> Result<Self, Infallible> {
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let cookie = |name: &str| {
            let mut cookies = header(COOKIE).split(';').filter_map(|cookie| cookie.trim().split_once('='));
            let found = cookies.rfind(|(found, value)| *found == name && value.len() <= COOKIE_BYTES_MAX);
            found.map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
        };
        let chosen = cookie(LANGUAGE_COOKIE).and_then(|code| Language::of_code(&code));
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
        // A proxy on this machine says whom it speaks for; what anybody else says of that is not believed.
        let forwarded = header(axum::http::HeaderName::from_static("x-forwarded-for"));
        let client = forwarded.rsplit(',').next().and_then(|address| address.trim().parse().ok());
        Ok(Self {
            session: cookie(SESSION_COOKIE),
            visitor: cookie(VISITOR_COOKIE),
            language: chosen.unwrap_or_else(|| Language::accepted(header(ACCEPT_LANGUAGE))),
            path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned()),
            address: client.filter(|_| peer.is_loopback()).unwrap_or(peer),
            secure: !is_this_machine(header(HOST)),
        })
    }
}

/// Whether a `Host` header names the machine that the browser is on.
fn is_this_machine(host: &str) -> bool {
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Asked {
    /// A `Set-Cookie` header.
    pub fn cookie(&self, name: &str, value: &str, max_age_seconds: Option<u32>) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let age = max_age_seconds.map_or_else(String::new, |age| format!("; Max-Age={age}"));
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")
    }
}

/// A visit by somebody who is signed in.
pub struct Visit<'a> {
    pub console: &'a Console,
    pub asked: &'a Asked,
    pub person: PersonId,
    pub name: String,
    pub role: Role,
    pub scope: Scope,
    secret: &'a str,
}

impl<'a> Visit<'a> {
    /// Who this is; otherwise the way to the door. Role and caseloads are read anew each time: a grant that was taken back is gone with
    /// the next page.
    pub fn of(console: &'a Console, asked: &'a Asked) -> Result<Self, Fault> {
        let secret = asked.session.as_deref().ok_or(Fault::SignIn)?;
        let person = console.door.person(secret, crate::clock::now_ms()).ok_or(Fault::SignIn)?;
        let organisation = &console.host.organisation;
        let Some((role, caseloads)) = organisation.person_standing(person)? else {
            console.door.leave(secret);
            return Err(Fault::SignIn);
        };
        let scope = Scope::granted(role, caseloads);
        Ok(Self { console, asked, person, name: organisation.person_name(person), role, scope, secret })
    }

    /// What is read and written.
    pub fn host(&self) -> &Host {
        &self.console.host
    }

    /// Texts and numbers.
    pub fn language(&self) -> Language {
        self.asked.language
    }

    /// The frame of a page.
    pub fn page(&self, here: &'static str, title: &str) -> Page {
        let mut page = Page::new(self.console, self.asked, here, title);
        page.token = self.console.door.token(self.secret);
        page.person.clone_from(&self.name);
        self.language().words().role_name(&self.role.to_string()).clone_into(&mut page.role);
        page.sees_records = self.role != Role::Operator;
        page.decides = self.role >= Role::Supervisor;
        page.administers = self.role == Role::Administrator;
        page
    }

    /// Whether a form came from a page of this session.
    pub fn check_token(&self, token: &str) -> Result<(), Fault> {
        if self.console.door.is_token(self.secret, token) { Ok(()) } else { Err(Fault::Expired) }
    }

    /// Everybody but operators sees records.
    pub fn sees_records(&self) -> Result<(), Fault> {
        if self.role == Role::Operator { Err(Forbidden::Operator.into()) } else { Ok(()) }
    }

    /// Supervisors and above decide.
    pub fn decides(&self) -> Result<(), Fault> {
        self.sees_records()?;
        if self.role >= Role::Supervisor { Ok(()) } else { Err(Forbidden::Decide.into()) }
    }

    /// Data managers and above export.
    pub fn exports(&self) -> Result<(), Fault> {
        self.sees_records()?;
        if self.role >= Role::DataManager { Ok(()) } else { Err(Forbidden::Export.into()) }
    }

    /// Administrators.
    pub fn administers(&self) -> Result<(), Fault> {
        if self.role == Role::Administrator { Ok(()) } else { Err(Forbidden::Administrator.into()) }
    }

    /// Leaves word for the next page.
    pub fn tell(&self, told: Told) {
        self.console.door.tell(self.secret, told);
    }

    /// Takes the word that the last page left.
    pub fn told(&self) -> Option<Told> {
        self.console.door.told(self.secret)
    }

    /// Ends the session.
    pub fn leave(&self) {
        self.console.door.leave(self.secret);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_browser_on_this_machine_gets_cookies_without_https() {
        for host in ["127.0.0.1:7448", "localhost", "localhost:80", "[::1]:7448"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["karwan.example.org", "10.0.0.5:7448", "127.0.0.1.example.org", "", "localhost.example.org:80"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
