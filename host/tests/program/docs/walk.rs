//! A reader follows README.md and docs/getting-started.md from top to bottom.

use super::super::support::{
    Home, Ran, Service, ended, ids, lines_of, once_each, run, start, wait_until,
};
use super::pages::{Block, page};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use watchbell_simulator::{Client, Config, Running, TENANT_ID};

/// What stands for a real service on the pages, and what the test gives in its place: all
/// else is run as it is written.
fn on_loopback(text: &str, running: &Running) -> String {
    let (endpoint, authority) = (running.endpoint(), running.authority());
    let flags =
        format!("--endpoint {endpoint} --authority {authority} --allow-address 127.0.0.0/8");
    let keys = format!(
        "endpoint = \"{endpoint}\"\nauthority = \"{authority}\"\n\
         egress.allow_addresses = [\"127.0.0.0/8\"] #"
    );
    text.replace("--region eu", &flags)
        .replace("region = \"eu\"", &keys)
}

/// A shell in the reader's folder, which finds `watchbell` and knows nothing else.
fn shell(home: &Home, script: &str) -> Command {
    let bin = home.path("bin");
    fs::create_dir_all(&bin).unwrap();
    let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_watchbell"), bin.join("watchbell"));
    let mut command = Command::new("sh");
    command
        .args(["-euc", script])
        .current_dir(home.path(""))
        .env_clear()
        .env("HOME", home.path(""))
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        )
        .stdin(Stdio::null());
    command
}

/// The value of `key = "value"` or `--key value`, as the page shows it.
fn shown(text: &str, key: &str) -> String {
    let (_, after) = text.split_once(key).unwrap();
    let after = after.trim_start_matches([' ', '=', '"']);
    let end = after.find(|char: char| char == '"' || char.is_whitespace());
    after[..end.unwrap()].to_owned()
}

/// A service that knows this application and ten minutes of detections.
fn knowing(client: &str, secret: &str) -> Running {
    start(Config {
        clients: vec![Client {
            id: client.to_owned(),
            secret: secret.to_owned(),
            ..Client::default()
        }],
        ..ended()
    })
}

#[test]
fn the_readmes_query_prints_detections() {
    let block = &page("README.md").blocks_of("sh")[1];
    assert!(block.text.contains("watchbell poll"), "{block:?}");
    let running = knowing(&shown(&block.text, "--client-id"), "it is a secret");
    let script = on_loopback(&block.text, &running).replace('…', "'it is a secret'");
    let printed = run(&mut shell(&Home::new(), &script)).ok();
    // The service has been quiet for a minute, and a detection comes each second before.
    assert!(ids(&printed).len() > 400, "{}", ids(&printed).len());
}

#[test]
fn the_readmes_configuration_fills_its_file() {
    let page = page("README.md");
    let block = &page.blocks_of("toml")[0];
    let running = knowing(&shown(&block.text, "client_id"), "it is a secret");
    let home = Home::with(&on_loopback(&block.text, &running));
    let commands: Vec<Block> = page
        .blocks_of("sh")
        .into_iter()
        .filter(|block| block.text.contains("watchbell run"))
        .collect();
    let [commands] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    let script = commands.text.replace('…', "'it is a secret'");
    // The last command goes on until it is ended: the shell hands over to it.
    let script = script.replace("watchbell run", "exec watchbell run");
    let service = Service::start(&mut shell(&home, &script));
    let catalog = running.catalog(TENANT_ID);
    let all = catalog.range("2020-01-01T00:00:00Z".parse().unwrap(), running.now());
    let high: BTreeSet<String> = catalog
        .detections(all)
        .filter(|one| one.json.contains("\"Severity\":\"High\""))
        .map(|one| one.full_id)
        .collect();
    assert!(high.len() > 20, "{}", high.len());
    wait_until("its detections", || {
        lines_of(&home.read("alerts.ndjson")) >= high.len()
    });
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    once_each(&home.read("alerts.ndjson"), &high);
}

/// The shell blocks of the sections whose headings begin so.
fn steps(sections: &[&str]) -> Vec<Block> {
    let mut blocks = page("docs/getting-started.md").blocks_of("sh");
    blocks.retain(|block| sections.iter().any(|one| block.section.starts_with(one)));
    assert!(!blocks.is_empty(), "{sections:?}");
    blocks
}

/// The simulator as the page starts it, but on a port that is free.
fn simulator(home: &Home, command: &str) -> (Service, String) {
    let command = command.replace("127.0.0.1:8460", "127.0.0.1:0");
    let service = Service::start(&mut shell(home, &format!("exec {command}")));
    wait_until("the simulator", || service.stdout().ends_with('\n'));
    let about: Value = serde_json::from_str(&service.stdout()).unwrap();
    let address = about["endpoint"].as_str().unwrap().replace("http://", "");
    (service, address)
}

fn tenant_of(line: &str) -> String {
    let (_, after) = line.split_once("{\"tenant\":\"").unwrap();
    after.split('"').next().unwrap().to_owned()
}

#[test]
fn the_first_steps_lead_to_a_file_of_detections_for_one_tenant_and_for_three() {
    let home = Home::new();
    let mut blocks = steps(&["2.", "3.", "4."]);
    let start = blocks.remove(0);
    let (simulator, address) = simulator(&home, start.text.trim());
    let script: String = blocks.iter().map(|block| block.text.as_str()).collect();
    let script = script.replace("127.0.0.1:8460", &address);
    let ran = run(&mut shell(&home, &script));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("{\"AlertTime\""), "{ran:?}");

    let of = |name: &str| home.read(&format!("watchbell-demo/{name}"));
    let one = ids(&of("alerts.ndjson"));
    // Two hours at ten a minute, of which a few are late.
    assert!(one.len() > 1000, "{}", one.len());
    let unique: BTreeSet<&String> = one.iter().collect();
    assert_eq!(unique.len(), one.len(), "nothing twice");

    let mut all = BTreeSet::new();
    let mut count = 0;
    for tenant in ["north", "south", "west"] {
        let own = of(&format!("alerts/{tenant}.ndjson"));
        assert!(own.lines().all(|line| tenant_of(line) == tenant));
        assert!(lines_of(&own) > 1000, "{tenant}: {}", lines_of(&own));
        count += lines_of(&own);
        all.extend(ids(&own));
    }
    assert_eq!(
        all.len(),
        count,
        "each tenant has its own, and nothing twice"
    );

    // The command that the simulator prints is the one that the page shows.
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let printed = simulator.stderr();
    let printed = printed
        .lines()
        .find(|line| line.contains(" poll "))
        .unwrap();
    let shown: Vec<String> = blocks.iter().flat_map(Block::commands).collect();
    let shown = shown.iter().find(|line| line.contains(" poll ")).unwrap();
    let flags = |line: &str| words(line.split_once(" poll ").unwrap().1);
    assert_eq!(
        flags(printed),
        flags(&shown.replace("127.0.0.1:8460", &address))
    );
}

#[test]
fn the_steps_for_a_real_tenant_work_when_the_service_is_a_simulated_one() {
    let home = Home::new();
    let script: String = steps(&["6."])
        .iter()
        .map(|block| block.text.clone())
        .collect();
    let running = knowing(&shown(&script, "--client-id"), "it is a secret");
    home.write("typed", "it is a secret\n");
    let mut command = shell(&home, &on_loopback(&script, &running));
    command.stdin(File::open(home.path("typed")).unwrap());
    let Ran {
        code,
        stdout,
        stderr,
    } = run(&mut command);
    assert_eq!(code, Some(0), "{stderr}");
    let (token, detections) = stdout.split_once("{\"AlertTime\"").unwrap();
    assert!(token.contains("Alert.Read.All"), "{token}");
    assert!(detections.contains("\"FullId\""), "{detections}");
    let secret = fs::metadata(home.path("client-secret")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&secret.permissions());
    assert_eq!(mode & 0o777, 0o600);
}
