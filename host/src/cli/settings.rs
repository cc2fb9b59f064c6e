//! A source's settings from a file, from flags, or from both: flags go over the file.

use super::data_dir::check_mount;
use crate::config::{self, Document};
use crate::exit::{Exit, Failure};
use crate::names::Name;
use crate::sources::{PollError, Runtime, SetupError, Source};
use crate::telemetry::printable;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watchbell_egress::Proxies;
use watchbell_sandbox::Pool;
use watchbell_sandbox::contract::Error;
use watchbell_secrets::Secrets;
use watchbell_settings::{Ago, At, ConfigError, Node, Problem, Value};
use zeroize::Zeroizing;

/// The name of a source that has no file.
const UNNAMED: &str = "flags";

/// Which source to ask, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub(super) struct SourceArgs {
    /// Configuration file (TOML, YAML or JSON). Without it, every setting is a flag.
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: Option<PathBuf>,
    /// Which source of the file. May be left out when there is one only.
    #[arg(
        long,
        value_name = "NAME",
        env = "WATCHBELL_SOURCE",
        requires = "config"
    )]
    source: Option<String>,
    /// Which of the source's tenants, when it has several.
    #[arg(
        long,
        value_name = "NAME",
        env = "WATCHBELL_TENANT",
        requires = "config"
    )]
    tenant: Option<String>,
    /// Folder for compiled components. Default: data_dir of the file, else the user's cache folder.
    #[arg(long, value_name = "DIR", env = "WATCHBELL_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Which API the endpoint speaks: siem or graph.
    #[arg(long, env = "WATCHBELL_API")]
    api: Option<String>,
    /// Sets endpoint and authority: eu, us, uk, gcc, gcc-high or dod.
    #[arg(long, env = "WATCHBELL_REGION")]
    region: Option<String>,
    /// Base URL of the API, with --authority instead of --region.
    #[arg(long, value_name = "URL", env = "WATCHBELL_ENDPOINT")]
    endpoint: Option<String>,
    /// Base URL of the login service.
    #[arg(long, value_name = "URL", env = "WATCHBELL_AUTHORITY")]
    authority: Option<String>,
    /// The directory: a GUID or a domain name.
    #[arg(long, value_name = "ID", env = "WATCHBELL_TENANT_ID")]
    tenant_id: Option<String>,
    /// The application: a GUID. Its secret comes from WATCHBELL_CLIENT_SECRET or
    /// --client-secret-file, never from the command line, which others can read.
    #[arg(long, value_name = "ID", env = "WATCHBELL_CLIENT_ID")]
    client_id: Option<String>,
    /// A file that holds the application's secret and nothing else.
    #[arg(long, value_name = "FILE", env = "WATCHBELL_CLIENT_SECRET_FILE")]
    client_secret_file: Option<PathBuf>,
    /// Opens a range of special addresses, e.g. 127.0.0.0/8. May be repeated.
    #[arg(
        long,
        value_name = "CIDR",
        env = "WATCHBELL_ALLOW_ADDRESS",
        value_delimiter = ','
    )]
    allow_address: Vec<String>,
    /// Certificates to trust beside the platform's (PEM).
    #[arg(long, value_name = "FILE", env = "WATCHBELL_CA_FILE")]
    ca_file: Option<PathBuf>,
}

/// What part of its detections to ask for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Query")]
pub(super) struct QueryArgs {
    /// From when: an instant, or a duration back from now such as PT2H or 2h.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until when, likewise. Default: now.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// From that long before the service's now: a duration such as PT10M or 10m.
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["since", "until"])]
    pub(super) ago: Option<Ago>,
    /// Only the most recent that many.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// A device group; may be repeated. Default: all.
    #[arg(long, value_name = "NAME")]
    machine_group: Vec<String>,
    /// One device tag from the registry.
    #[arg(long, value_name = "TAG")]
    device_created_machine_tags: Option<String>,
    /// Tags made in the portal.
    #[arg(long, value_name = "TAGS")]
    cloud_created_machine_tags: Option<String>,
}

/// A source that was read, and where compiled code is kept.
pub(super) struct Chosen {
    pub(super) name: Name,
    pub(super) source: Arc<Source>,
    pub(super) data_dir: Option<PathBuf>,
    secrets: Secrets,
    proxies: Proxies,
    /// Settings that flags gave, and these flags.
    given: Vec<(&'static str, &'static str)>,
}

impl Chosen {
    /// A source that cannot be set up: by the flag, where one gave the setting.
    pub(super) fn setup_failure(&self, error: SetupError) -> Failure {
        match &error {
            SetupError::Setting { field, message } => match self.flag_of(field) {
                Some(flag) => Failure::new(Exit::Usage, format!("{flag}: {message}")),
                None => error.into(),
            },
            _ => error.into(),
        }
    }

    /// A poll that brought nothing: by the flag, where one gave what the component refuses.
    pub(super) fn poll_failure(&self, error: PollError) -> Failure {
        if let PollError::Service { error: inner, .. } = &error
            && let Error::InvalidConfig(fault) = &**inner
            && let Some(flag) = self.flag_of(&fault.field)
        {
            let words = format!("{flag}: {}", printable(&fault.message));
            return Failure::new(Exit::Usage, words);
        }
        Failure::new(error.exit(), error)
    }

    /// The flag that gave a setting, however a component spells that.
    fn flag_of(&self, field: &str) -> Option<&'static str> {
        let key = field.strip_prefix("query.").unwrap_or(field);
        let key = key.replace('-', "_");
        let mut given = self.given.iter();
        given
            .find(|(known, _)| *known == key)
            .map(|(_, flag)| *flag)
    }

    /// An engine and a way out, for a call or two.
    pub(super) fn runtime(&self) -> Result<Runtime, Failure> {
        let runtime = super::start_runtime(Pool::OneShot, self.data_dir.as_deref())?;
        Ok(runtime
            .with_secrets(self.secrets.clone())
            .with_proxies(self.proxies.clone()))
    }
}

impl SourceArgs {
    /// Reads the file, if any, and lays the flags over it.
    pub(super) fn choose(&self, query: Option<&QueryArgs>) -> Result<Chosen, Failure> {
        let (mut document, name) = self.document()?;
        document
            .choose_tenant(&name, self.tenant.as_deref(), &config::process_env)
            .map_err(config_failure)?;
        let mut given = Vec::new();
        for (key, flag, value) in self
            .flags()
            .into_iter()
            .chain(query.map(QueryArgs::flags).unwrap_or_default())
        {
            given.push((key, flag));
            document
                .override_source(&name, key, value, flag)
                .map_err(config_failure)?;
        }
        let around = document
            .surroundings(&config::process_env)
            .map_err(config_failure)?;
        let data_dir = match &self.data_dir {
            Some(data_dir) => Some(data_dir.clone()),
            None => {
                check_mount(&around)?;
                around.data_dir.clone()
            }
        };
        let source = document
            .source(&name, &config::process_env)
            .map_err(config_failure)?;
        let name = name
            .parse()
            .map_err(|e| Failure::new(Exit::Config, format!("sources.{name}: {e}")))?;
        let secrets = around.secrets(&Secrets::default(), &source.settings.secrets());
        let proxies = around.proxies().map_err(config_failure)?;
        if query.is_some_and(|query| query.ago.is_some()) {
            given.push(("ago", "--ago"));
        }
        Ok(Chosen {
            given,
            name,
            source: Arc::new(source),
            data_dir,
            secrets,
            proxies,
        })
    }

    fn document(&self) -> Result<(Document, String), Failure> {
        let Some(path) = &self.config else {
            let name: Name = UNNAMED
                .parse()
                .map_err(|e| Failure::new(Exit::Internal, e))?;
            return Ok((Document::from_flags(&name), UNNAMED.to_owned()));
        };
        let document = Document::read(path).map_err(config_failure)?;
        let name = match &self.source {
            Some(name) => name.clone(),
            None => only_source(&document, path)?,
        };
        Ok((document, name))
    }

    /// Each flag that was given: the setting, the flag's name, the value.
    fn flags(&self) -> Vec<Flag> {
        let secret = std::env::var("WATCHBELL_CLIENT_SECRET")
            .ok()
            .filter(|value| !value.is_empty())
            .map(Zeroizing::new);
        let addresses =
            (!self.allow_address.is_empty()).then(|| list(&self.allow_address, "--allow-address"));
        [
            text("api", "--api", self.api.as_deref()),
            text("region", "--region", self.region.as_deref()),
            text("endpoint", "--endpoint", self.endpoint.as_deref()),
            text("authority", "--authority", self.authority.as_deref()),
            text("tenant_id", "--tenant-id", self.tenant_id.as_deref()),
            text("client_id", "--client-id", self.client_id.as_deref()),
            text(
                "client_secret",
                "WATCHBELL_CLIENT_SECRET",
                secret.as_ref().map(|secret| secret.as_str()),
            ),
            path(
                "client_secret_file",
                "--client-secret-file",
                self.client_secret_file.as_deref(),
            ),
            addresses.map(|value| ("egress.allow_addresses", "--allow-address", value)),
            path("tls.ca_file", "--ca-file", self.ca_file.as_deref()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl QueryArgs {
    fn flags(&self) -> Vec<Flag> {
        let groups =
            (!self.machine_group.is_empty()).then(|| list(&self.machine_group, "--machine-group"));
        [
            text("since", "--since", self.since.as_deref()),
            text("until", "--until", self.until.as_deref()),
            self.limit
                .map(|limit| ("limit", "--limit", Value::Integer(limit.into()))),
            groups.map(|value| ("machine_groups", "--machine-group", value)),
            text(
                "device_created_machine_tags",
                "--device-created-machine-tags",
                self.device_created_machine_tags.as_deref(),
            ),
            text(
                "cloud_created_machine_tags",
                "--cloud-created-machine-tags",
                self.cloud_created_machine_tags.as_deref(),
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

type Flag = (&'static str, &'static str, Value);

fn text(key: &'static str, flag: &'static str, value: Option<&str>) -> Option<Flag> {
    value.map(|value| (key, flag, Value::text(value)))
}

fn path(key: &'static str, flag: &'static str, value: Option<&Path>) -> Option<Flag> {
    text(key, flag, value.map(Path::to_string_lossy).as_deref())
}

fn list(values: &[String], flag: &str) -> Value {
    let item = |value: &String| Node {
        at: At::flag(flag),
        value: Value::text(value),
    };
    Value::Array(values.iter().map(item).collect())
}

fn only_source(document: &Document, path: &Path) -> Result<String, Failure> {
    let names: Vec<&str> = document.source_names().collect();
    match names.as_slice() {
        [name] => Ok((*name).to_owned()),
        [] => Err(Failure::new(
            Exit::Config,
            format!("{}: has no sources; add [sources.NAME]", path.display()),
        )),
        _ => Err(Failure::new(
            Exit::Usage,
            format!(
                "{}: has several sources; say which with --source: {}",
                path.display(),
                names.join(", ")
            ),
        )),
    }
}

/// A configuration that is wrong: the command line, where all that is wrong was said there.
pub(super) fn config_failure(error: ConfigError) -> Failure {
    let problems = error.problems();
    if problems.is_empty() || !problems.iter().all(|one| one.at.is_command_line()) {
        return Failure::new(Exit::Config, error);
    }
    let words: Vec<String> = problems.iter().map(in_flags).collect();
    Failure::new(Exit::Usage, words.join("\n"))
}

/// A problem in the words of the command line, which has flags and no settings.
fn in_flags(problem: &Problem) -> String {
    let prefix = format!("sources.{UNNAMED}.");
    let Some(key) = problem.key.strip_prefix(&prefix) else {
        return problem.to_string();
    };
    let missing = [
        ("tenant_id", "--tenant-id: is missing; add it"),
        ("client_id", "--client-id: is missing; add it"),
        (
            "authority",
            "--authority: is missing; it goes with --endpoint",
        ),
        (
            "endpoint",
            "--endpoint: is missing; it goes with --authority",
        ),
        (
            "region",
            "--region: is missing; add it (eu, us, uk, gcc, gcc-high or dod), or --endpoint and --authority",
        ),
        (
            "client_secret",
            "the client secret is missing; set WATCHBELL_CLIENT_SECRET, or add --client-secret-file",
        ),
    ];
    let words = missing.iter().find(|(known, _)| *known == key);
    match words {
        Some((_, words)) if problem.message.starts_with("is missing") => (*words).to_owned(),
        _ if problem.message.starts_with("stands beside endpoint") => {
            "--region: stands beside --endpoint or --authority; keep --region, or those two"
                .to_owned()
        }
        _ if problem.message.starts_with("stands beside client_secret") => {
            "--client-secret-file: stands beside WATCHBELL_CLIENT_SECRET; keep one of the two"
                .to_owned()
        }
        _ => problem.to_string(),
    }
}
