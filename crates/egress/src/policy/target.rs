//! A destination, read strictly: scheme, host and port.

use std::fmt;

use http::Uri;
use http::uri::PathAndQuery;
use watchbell_settings::printable;

use super::denied::Denied;
use super::host::Host;
use super::host_pattern::parse_port;

/// How to speak to a [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// Plain HTTP, to loopback alone.
    Http,
    /// Any other protocol over TLS.
    Tls,
    /// Any other protocol without TLS, to loopback alone.
    Tcp,
}

impl Scheme {
    /// 443 for `https` and 80 for `http`. The others have none.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http => Some(80),
            Self::Tls | Self::Tcp => None,
        }
    }

    /// `https`, `http`, `tls` or `tcp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a URL was judged to mean, and what will be dialled: that and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Over TLS or not.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, the scheme's own if the URL had none. Not 0.
    pub port: u16,
}

impl Target {
    /// Reads a URL strictly, and judges nothing but its form: an absolute `https` or
    /// `http` URL, a host that everybody reads alike, no user information, no odd port.
    pub fn parse(url: &Uri) -> Result<Self, Denied> {
        let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(Denied::NotAbsolute);
        };
        let (scheme, default_port) = match scheme {
            "https" => (Scheme::Https, 443),
            "http" => (Scheme::Http, 80),
            other => {
                return Err(Denied::Scheme {
                    scheme: printable(other),
                });
            }
        };
        let authority = authority.as_str();
        if authority.contains('@') {
            return Err(Denied::UserInfo);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let host = parse_host(host)?;
        let port = match port.map(parse_port) {
            None => default_port,
            Some(Ok(port)) => port,
            Some(Err(_)) => {
                let port = printable(port.unwrap_or_default());
                return Err(Denied::Port {
                    host: host.to_string(),
                    port,
                });
            }
        };
        Ok(Self { scheme, host, port })
    }

    /// A destination for a protocol other than HTTP, over TLS. The host is read as in a
    /// URL: a name, an IPv4 address, or an IPv6 address in brackets.
    ///
    /// ```
    /// use watchbell_egress::Target;
    ///
    /// assert_eq!(Target::tls("Syslog.Example.com", 6514)?.origin(), "tls://syslog.example.com:6514");
    /// assert!(Target::tls("syslog.example.com.", 6514).is_err());
    /// # Ok::<(), watchbell_egress::Denied>(())
    /// ```
    pub fn tls(host: &str, port: u16) -> Result<Self, Denied> {
        Self::other_protocol(Scheme::Tls, host, port)
    }

    /// As [`Target::tls`], without TLS. The policy lets it reach loopback alone.
    pub fn tcp(host: &str, port: u16) -> Result<Self, Denied> {
        Self::other_protocol(Scheme::Tcp, host, port)
    }

    fn other_protocol(scheme: Scheme, host: &str, port: u16) -> Result<Self, Denied> {
        let host = parse_host(host)?;
        if port == 0 {
            return Err(Denied::Port {
                host: host.to_string(),
                port: port.to_string(),
            });
        }
        Ok(Self { scheme, host, port })
    }

    /// Scheme, host and port in their one spelling; a default port is left out.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// Host and port as in a URL or a Host header; a default port is left out.
    pub fn authority(&self) -> String {
        if self.scheme.default_port() == Some(self.port) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The URL to dial: this target with another URL's path and query.
    pub(crate) fn with_path_of(&self, url: &Uri) -> Result<Uri, http::Error> {
        let path = url.path_and_query().map_or("/", PathAndQuery::as_str);
        Uri::builder()
            .scheme(self.scheme.as_str())
            .authority(self.authority())
            .path_and_query(path)
            .build()
    }
}

fn parse_host(text: &str) -> Result<Host, Denied> {
    Host::parse(text).map_err(|reason| Denied::Host {
        host: printable(text),
        reason,
    })
}
