//! Microsoft's clouds: which hosts a region's name stands for.
//!
//! A token of one cloud is not accepted in another, so the authority goes with the
//! endpoint and both come from one name. China has neither API.

use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_settings::{BaseUrl, InvalidValue};

/// Which API a source speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Api {
    /// The SIEM REST API of Defender for Endpoint.
    #[default]
    Siem,
    /// Microsoft Graph `security/alerts_v2`.
    Graph,
}

impl Api {
    /// Its name in the configuration and in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Siem => "siem",
            Self::Graph => "graph",
        }
    }
}

/// Where a tenant's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Region {
    /// European Union.
    Eu,
    /// United States, commercial.
    Us,
    /// United Kingdom.
    Uk,
    /// US Government Community Cloud. Its login is the commercial one.
    Gcc,
    /// GCC High.
    GccHigh,
    /// US Department of Defense. Its SIEM API is that of GCC High.
    Dod,
}

impl Region {
    /// All of them, by the names that a configuration has for them.
    pub(crate) const NAMES: &str = "eu, us, uk, gcc, gcc-high or dod";

    /// The base URL of the API.
    #[must_use]
    pub fn endpoint(self, api: Api) -> &'static str {
        match (api, self) {
            (Api::Siem, Self::Eu) => "https://wdatp-alertexporter-eu.windows.com",
            (Api::Siem, Self::Us) => "https://wdatp-alertexporter-us.windows.com",
            (Api::Siem, Self::Uk) => "https://wdatp-alertexporter-uk.windows.com",
            (Api::Siem, Self::Gcc) => {
                "https://wdatp-alertexporter-us.gcc.securitycenter.windows.us"
            }
            (Api::Siem, Self::GccHigh | Self::Dod) => {
                "https://wdatp-alertexporter-us.securitycenter.windows.us"
            }
            (Api::Graph, Self::Eu | Self::Us | Self::Uk | Self::Gcc) => {
                "https://graph.microsoft.com"
            }
            (Api::Graph, Self::GccHigh) => "https://graph.microsoft.us",
            (Api::Graph, Self::Dod) => "https://dod-graph.microsoft.us",
        }
    }

    /// The base URL of the login service.
    #[must_use]
    pub fn authority(self) -> &'static str {
        match self {
            Self::Eu | Self::Us | Self::Uk | Self::Gcc => "https://login.microsoftonline.com",
            Self::GccHigh | Self::Dod => "https://login.microsoftonline.us",
        }
    }

    pub(super) fn base_urls(self, api: Api) -> Result<(BaseUrl, BaseUrl), InvalidValue> {
        Ok((self.endpoint(api).parse()?, self.authority().parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_both_urls_for_both_apis() {
        use Region::{Dod, Eu, Gcc, GccHigh, Uk, Us};
        for region in [Eu, Us, Uk, Gcc, GccHigh, Dod] {
            for api in [Api::Siem, Api::Graph] {
                let (endpoint, authority) = region.base_urls(api).unwrap();
                assert_eq!(endpoint.as_str(), region.endpoint(api));
                assert_eq!(authority.as_str(), region.authority());
                let us_login = authority.as_str().ends_with(".us");
                assert_eq!(us_login, matches!(region, GccHigh | Dod));
            }
        }
    }
}
