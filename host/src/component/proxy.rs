//! `proxy`: through whom requests go out, for all sources or for one.

use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_egress::Proxies;
use watchbell_settings::{At, ConfigError, KeyPath, Problem, Report};

use watchbell_secrets::Secret;

/// Through whom requests go out, as it is written. A URL may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxySettings {
    /// Whether a proxy is used. With `false` none is, whatever the environment says. Default:
    /// true.
    #[serde(default = "yes")]
    enabled: bool,
    /// The proxy of requests over plain HTTP: `http://host:port`, with `user:password@` if it
    /// wants one. Plain HTTP goes to loopback alone, so this has no effect without `loopback`.
    /// Default: what `HTTP_PROXY` or `ALL_PROXY` says.
    #[schemars(extend("examples" = ["http://proxy.example:3128"]))]
    http: Option<Secret>,
    /// The proxy of requests over HTTPS: `http://host:port`, with `user:password@` if it wants
    /// one. Default: what `HTTPS_PROXY` or `ALL_PROXY` says.
    #[schemars(extend("examples" = ["http://proxy.example:3128"]))]
    https: Option<Secret>,
    /// Hosts that are reached without the proxy: names with all names below them, addresses and
    /// ranges of addresses. Default: what `NO_PROXY` says.
    #[schemars(extend("examples" = [["internal.example", "10.0.0.0/8"]]))]
    no_proxy: Option<Vec<String>>,
    /// Whether requests to loopback go through the proxy too. They are plain HTTP, so the proxy
    /// sees secrets in clear. Default: false.
    #[serde(default)]
    loopback: bool,
}

fn yes() -> bool {
    true
}

impl ProxySettings {
    /// None with what is wrong in the report.
    pub(crate) fn proxies(&self, path: &KeyPath, report: &mut Report<'_>) -> Option<Proxies> {
        if !self.enabled {
            return Some(Proxies::default());
        }
        if self.http.is_none() && self.https.is_none() {
            let message = "has neither http nor https; add one, or enabled = false to use none";
            report.error(path, message);
            return None;
        }
        let (http, https) = (self.http.as_ref(), self.https.as_ref());
        let no_proxy = self.no_proxy.as_ref().map(|hosts| hosts.join(","));
        match Proxies::new(
            http.map(Secret::expose),
            https.map(Secret::expose),
            no_proxy.as_deref(),
        ) {
            Ok(proxies) if self.loopback => Some(proxies.with_loopback()),
            Ok(proxies) => Some(proxies),
            Err((index, why)) => {
                let key = if index == 0 { "http" } else { "https" };
                report.error(&path.key(key), why.to_string());
                None
            }
        }
    }
}

/// What the environment says: `HTTPS_PROXY` and the like.
pub(crate) fn from_env() -> Result<Proxies, ConfigError> {
    Proxies::from_env().map_err(|(name, why)| {
        let at = At::flag("environment");
        ConfigError::invalid(vec![Problem::new(at, name.to_owned(), why.to_string())])
    })
}
