//! Through whom to go out, where a network has no other way.
//!
//! The operator named the proxy, so its address is not judged; what is asked of it is:
//! names and literals by the policy, as without one. A name is not resolved here, since
//! the proxy resolves it, and with that the judging of a name's addresses is the proxy's
//! too. The guest never learns that there is one.
//!
//! Which connections go through it is hyper-util's to say, which follows curl: the
//! variables' names, and what `NO_PROXY` may hold.

use std::env;
use std::fmt;
use std::hash::{Hash, Hasher};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::policy::{Host, Scheme, Target};

/// Which proxies to use. The default is none.
///
/// Requests to loopback go to none, unless [`Proxies::with_loopback`] says so: a proxy's
/// loopback is not ours, and plain http, which is spoken to loopback alone, would show it
/// everything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// With user and password, so both are zeroed on drop.
    http: Zeroizing<String>,
    https: Zeroizing<String>,
    no_proxy: String,
    loopback: bool,
}

impl Hash for Proxies {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let urls = (self.http.as_str(), self.https.as_str());
        (urls, &self.no_proxy, self.loopback).hash(state);
    }
}

/// Why a text is not a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAProxy {
    /// No `http://host:port`, with or without `user:password@`.
    #[error("is not a proxy; write http://host:port or http://user:password@host:port")]
    Form,
    /// `https`, `socks5` and the like.
    #[error("is a proxy of a kind that is not spoken here; write http://host:port")]
    Kind,
}

impl Proxies {
    /// For `http` and for `https` targets, an `http://` proxy each, but for loopback and the
    /// hosts in `no_proxy`: names (with all below them), addresses and ranges, with commas
    /// between. None is as `NO_PROXY` says.
    ///
    /// # Errors
    /// [`NotAProxy`], with the position of the argument: 0 or 1.
    pub fn new(
        http: Option<&str>,
        https: Option<&str>,
        no_proxy: Option<&str>,
    ) -> Result<Self, (usize, NotAProxy)> {
        Self::with_variables(http, https, no_proxy, |name| env::var(name).ok())
    }

    fn with_variables(
        http: Option<&str>,
        https: Option<&str>,
        no_proxy: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, (usize, NotAProxy)> {
        for (index, text) in [http, https].into_iter().enumerate() {
            text.map_or(Ok(()), |text| check(text).map_err(|why| (index, why)))?;
        }
        let text = |text: Option<&str>| Zeroizing::new(text.unwrap_or_default().to_owned());
        Ok(Self {
            http: text(http),
            https: text(https),
            no_proxy: no_proxy.map_or_else(|| no_proxy_of(variable), str::to_owned),
            loopback: false,
        })
    }

    /// The same for requests to loopback as well.
    #[must_use]
    pub fn with_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// As the environment says: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`,
    /// in capitals or not.
    ///
    /// # Errors
    /// [`NotAProxy`], with the variable's name.
    pub fn from_env() -> Result<Self, (&'static str, NotAProxy)> {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, (&'static str, NotAProxy)> {
        let first = |names: [&'static str; 4]| {
            let set = |name: &'static str| Some((name, Zeroizing::new(variable(name)?)));
            let found = names.into_iter().find_map(set);
            found.filter(|(_, text)| !text.is_empty())
        };
        let mut found = [
            first(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            first(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        ];
        for (name, text) in found.iter().flatten() {
            check(text).map_err(|why| (*name, why))?;
        }
        let text = |found: &mut Option<(_, Zeroizing<String>)>| {
            found.take().map(|(_, text)| text).unwrap_or_default()
        };
        let [http, https] = &mut found;
        let (http, https) = (text(http), text(https));
        if http.is_empty() && https.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            http,
            https,
            no_proxy: no_proxy_of(variable),
            loopback: false,
        })
    }

    /// The passwords in them, as they were before they were percent-encoded: what must not
    /// be logged when a proxy repeats it.
    #[must_use]
    pub fn passwords(&self) -> Vec<Zeroizing<String>> {
        let password = |text: &str| {
            let (user, _) = text.rsplit_once('@')?;
            let user = user.rsplit_once("//").map_or(user, |(_, user)| user);
            let (_, password) = user.split_once(':')?;
            let decoded = percent_decode_str(password).decode_utf8_lossy();
            (!decoded.is_empty()).then(|| Zeroizing::new(decoded.into_owned()))
        };
        [&self.http, &self.https]
            .into_iter()
            .filter_map(|text| password(text))
            .collect()
    }

    pub(crate) fn matcher(&self) -> ProxyMatcher {
        let matcher = Matcher::builder()
            .http(self.http.as_str())
            .https(self.https.as_str())
            .no(self.no_proxy.as_str())
            .build();
        ProxyMatcher {
            matcher,
            loopback: self.loopback,
        }
    }
}

/// What `NO_PROXY` says, in capitals or not.
fn no_proxy_of(variable: impl Fn(&str) -> Option<String>) -> String {
    let set = ["NO_PROXY", "no_proxy"].map(variable);
    set.into_iter().flatten().next().unwrap_or_default()
}

/// Which target is reached through which proxy.
pub(crate) struct ProxyMatcher {
    matcher: Matcher,
    loopback: bool,
}

fn check(text: &str) -> Result<(), NotAProxy> {
    let url: Uri = text.parse().map_err(|_| NotAProxy::Form)?;
    if !matches!(url.scheme_str(), None | Some("http")) {
        return Err(NotAProxy::Kind);
    }
    let authority = url.authority().ok_or(NotAProxy::Form)?;
    Host::parse(authority.host()).map_err(|_| NotAProxy::Form)?;
    // Brackets stand around an address. In a user or password they are what `SECRET[…]`
    // looks like that nothing replaced; one that has them is written with %5B and %5D.
    let user = authority.as_str().rsplit_once('@').map(|(user, _)| user);
    if user.is_some_and(|user| user.contains(['[', ']'])) {
        return Err(NotAProxy::Form);
    }
    if !matches!(url.path(), "" | "/") || authority.port_u16() == Some(0) {
        return Err(NotAProxy::Form);
    }
    Ok(())
}

/// Without user and password.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |text: &str| text.rsplit('@').next().unwrap_or_default().to_owned();
        f.debug_struct("Proxies")
            .field("http", &place(&self.http))
            .field("https", &place(&self.https))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// The proxy that a target is reached through.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// `http://host:port/`.
    pub(crate) url: Uri,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) authorization: Option<HeaderValue>,
}

impl ProxyMatcher {
    /// The proxy for a target; none: it is reached without one. Protocols other than HTTP
    /// go through the tunnel of the proxy for `https`.
    pub(crate) fn proxy_for(&self, target: &Target) -> Option<Proxy> {
        if !self.loopback && is_loopback(&target.host) {
            return None;
        }
        let scheme = match target.scheme {
            Scheme::Http => Scheme::Http,
            Scheme::Https | Scheme::Tls | Scheme::Tcp => Scheme::Https,
        };
        let url = format!("{scheme}://{}/", target.authority());
        let found = self.matcher.intercept(&url.parse().ok()?)?;
        Some(Proxy {
            host: Host::parse(found.uri().host()?).ok()?,
            port: found.uri().port_u16().unwrap_or(80),
            url: found.uri().clone(),
            authorization: found.basic_auth().cloned(),
        })
    }
}

/// This machine, by its address or by the names that RFC 6761 gives it.
fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Address(address) => address.to_canonical().is_loopback(),
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// `host:port`, without password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(scheme: Scheme, host: &str) -> Target {
        Target {
            scheme,
            host: Host::parse(host).unwrap(),
            port: scheme.default_port().unwrap(),
        }
    }

    #[test]
    fn a_proxy_is_for_its_scheme_and_not_for_what_is_left_out() {
        let proxies = Proxies::new(
            None,
            Some("http://ann:se%63ret@proxy.example:3128"),
            Some("login.example, 20.1.0.0/16"),
        )
        .unwrap();
        let matcher = proxies.matcher();
        let of = |scheme, host| matcher.proxy_for(&target(scheme, host));
        let proxy = of(Scheme::Https, "api.example").unwrap();
        assert_eq!(proxy.to_string(), "proxy.example:3128");
        assert_eq!(proxy.authorization.unwrap(), "Basic YW5uOnNlY3JldA==");
        for left_out in ["login.example", "eu.login.example", "20.1.2.3"] {
            assert!(of(Scheme::Https, left_out).is_none(), "{left_out}");
        }
        assert!(of(Scheme::Https, "notlogin.example").is_some());
        assert!(of(Scheme::Http, "api.example").is_none());
        assert!(!format!("{proxies:?}").contains("ret@"));
    }

    fn from(set: &[(&str, &str)]) -> Result<Proxies, (&'static str, NotAProxy)> {
        Proxies::from_variables(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn of_the_environments_variables_the_narrower_one_counts_and_capitals_come_first() {
        let all = [
            ("all_proxy", "http://all-small:1"),
            ("ALL_PROXY", "http://all:1"),
            ("https_proxy", "http://https-small:1"),
            ("HTTPS_PROXY", "http://https:1"),
        ];
        let through = |set: &[(&str, &str)], scheme| {
            let matcher = from(set).unwrap().matcher();
            let proxy = matcher.proxy_for(&target(scheme, "api.example"));
            proxy.map(|proxy| proxy.to_string())
        };
        for (count, proxy) in [
            (1, "all-small"),
            (2, "all"),
            (3, "https-small"),
            (4, "https"),
        ] {
            let found = through(&all[..count], Scheme::Https);
            assert_eq!(found, Some(format!("{proxy}:1")));
        }
        // Those of https are not for http.
        assert_eq!(through(&all, Scheme::Http).as_deref(), Some("all:1"));
        // One that is set to nothing is no proxy, whatever the wider ones say.
        let mut none = all;
        none[3].1 = "";
        assert_eq!(through(&none, Scheme::Https), None);
        assert_eq!(through(&[], Scheme::Https), None);
    }

    #[test]
    fn no_proxy_of_the_environment_is_heeded_and_loopback_always_left_out() {
        let of = |no_proxy: &str, host: &str| {
            let set = [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", no_proxy)];
            let matcher = from(&set).unwrap().matcher();
            matcher.proxy_for(&target(Scheme::Https, host)).is_some()
        };
        for no_proxy in ["", "a.example"] {
            for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
                assert!(!of(no_proxy, host), "{no_proxy}: {host}");
            }
            assert!(of(no_proxy, "b.example"));
        }
        assert!(of("", "a.example"));
        assert!(!of("a.example", "x.a.example"));
        assert!(!of("*", "b.example"));
    }

    /// With a proxy of the file, requests to loopback went to it, secrets in clear, and
    /// `NO_PROXY` was not looked at.
    #[test]
    fn a_proxy_that_is_named_elsewhere_leaves_out_the_same() {
        let of = |no_proxy: Option<&str>, set: Option<&str>, loopback: bool, host: &str| {
            let url = Some("http://p:1");
            let variable = |name: &str| (name == "NO_PROXY").then(|| set.map(str::to_owned));
            let named =
                Proxies::with_variables(url, url, no_proxy, |name| variable(name).flatten());
            let named = named.unwrap();
            let named = if loopback {
                named.with_loopback()
            } else {
                named
            };
            [Scheme::Http, Scheme::Https]
                .map(|scheme| named.matcher().proxy_for(&target(scheme, host)).is_some())
        };
        let (yes, no) = ([true; 2], [false; 2]);
        for host in [
            "localhost",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "2130706433",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            for no_proxy in [None, Some(""), Some("a.example")] {
                assert_eq!(of(no_proxy, None, false, host), no, "{host}");
                assert_eq!(of(no_proxy, None, true, host), yes, "{host}");
            }
        }
        assert_eq!(of(None, Some("a.example"), false, "a.example"), no);
        assert_eq!(of(None, Some("a.example"), false, "b.example"), yes);
        assert_eq!(
            of(Some("b.example"), Some("a.example"), false, "a.example"),
            yes
        );
        assert_eq!(
            of(Some("b.example"), Some("a.example"), false, "b.example"),
            no
        );
        assert_eq!(of(None, Some("127.0.0.1"), true, "127.0.0.1"), no);
    }

    #[test]
    fn a_variable_that_is_no_proxy_is_named() {
        let set = [
            ("HTTP_PROXY", "http://p:1"),
            ("https_proxy", "socks5://p:1"),
        ];
        assert_eq!(from(&set), Err(("https_proxy", NotAProxy::Kind)));
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for text in ["socks5://a:1", "https://a:1", "ftp://a"] {
            assert_eq!(check(text), Err(NotAProxy::Kind), "{text}");
        }
        for text in [
            "",
            "http://",
            "http://a/path",
            "http://a:0",
            "http://a b",
            "http://u:SECRET[vault.a]@a:1",
            "/x",
        ] {
            assert_eq!(check(text), Err(NotAProxy::Form), "{text}");
        }
        for text in [
            "http://a",
            "a:3128",
            "http://u:p@10.0.0.1:8080/",
            "http://[::1]:1",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }
}
