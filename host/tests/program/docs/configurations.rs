//! Every configuration of the documentation passes `watchbell validate`.

use super::super::support::{Home, at_noon, run, source, start};
use super::pages::{Block, page, pages};
use std::fs;

/// Folders of a service, which are not a test's to make.
const FOLDERS: &[&str] = &[
    "/var/lib/watchbell",
    "/var/log/watchbell",
    "/run/secrets/watchbell",
];

/// A configuration with sources and sinks of ours; the others are parts, or of programs that
/// stand before and behind Watchbell.
fn is_whole(block: &Block) -> bool {
    let has = |text| block.text.contains(text);
    matches!(block.language.as_str(), "toml" | "yaml" | "json")
        && has("defender")
        && has("sources")
        && has("sinks")
        && !has("\"exec\"")
}

/// Writes it into a folder with what it names: folders, secret files, variables. Nothing else
/// of it is changed.
#[track_caller]
fn is_valid(place: &str, name: &str, text: &str, home: &Home) {
    let mut text = text.to_owned();
    for folder in FOLDERS {
        let own = home.path(folder.trim_start_matches('/'));
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("contoso"), "secret").unwrap();
        text = text.replace(folder, own.to_str().unwrap());
    }
    home.write(name, &text);
    let credentials = home.path("run/secrets/watchbell");
    let mut command = home.watchbell(["validate", "-c", name]);
    for variable in text.split("${").skip(1) {
        let end = variable.find(|char: char| !(char.is_alphanumeric() || char == '_'));
        command.env(&variable[..end.unwrap()], "secret");
    }
    let ran = run(command.env("CREDENTIALS_DIRECTORY", credentials));
    assert_eq!(ran.code, Some(0), "{place}: {}", ran.stderr);
}

#[test]
fn every_whole_configuration_is_valid() {
    let mut seen = 0;
    for block in pages().iter().flat_map(super::pages::Page::blocks) {
        if is_whole(&block) {
            seen += 1;
            let name = format!("watchbell.{}", block.language);
            is_valid(&block.place, &name, &block.text, &Home::new());
        }
    }
    assert!(seen >= 3, "{seen} whole configurations were found");
}

#[test]
fn every_other_block_is_well_formed() {
    for block in pages().iter().flat_map(super::pages::Page::blocks) {
        match block.language.as_str() {
            "toml" => {
                let parsed = toml::from_str::<toml::Table>(&block.text);
                assert!(parsed.is_ok(), "{}: {parsed:?}", block.place);
            }
            "yaml" => {
                for event in saphyr_parser::Parser::new_from_str(&block.text) {
                    assert!(event.is_ok(), "{}: {event:?}", block.place);
                }
            }
            "json" => {
                let parsed = serde_json::from_str::<serde_json::Value>(&block.text);
                assert!(parsed.is_ok(), "{}: {parsed:?}", block.place);
            }
            _ => {}
        }
    }
}

#[test]
fn the_simulators_three_lines_are_all_that_a_source_needs_for_it() {
    let running = start(at_noon());
    let page = page("docs/guides/simulator.md");
    let part = &page.blocks_of("toml")[0];
    let source = source(&running);
    let rest: String = source
        .lines()
        .filter(|line| {
            let key = line.split(' ').next().unwrap();
            !part
                .text
                .lines()
                .any(|own| own.split(' ').next() == Some(key))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(rest.lines().count() + 3, source.lines().count());
    let sink = "[sinks.out]\ntype = \"console\"\ninputs = [\"contoso\"]\n";
    let text = format!("data_dir = \"data\"\n{rest}{}{sink}", part.text);
    is_valid(&part.place, "watchbell.toml", &text, &Home::new());
}

#[test]
fn the_lines_of_the_example_processor_complete_a_configuration() {
    let running = start(at_noon());
    let page = page("examples/processor/README.md");
    let part = &page.blocks_of("toml")[0];
    let home = Home::new();
    fs::write(
        home.path("processor.wasm"),
        watchbell_tests::EXAMPLE_PROCESSOR,
    )
    .unwrap();
    let sink = "[sinks.out]\ntype = \"console\"\ninputs = [\"serious\"]\n";
    let source = source(&running);
    let text = format!("data_dir = \"data\"\n{source}{}{sink}", part.text);
    is_valid(&part.place, "watchbell.toml", &text, &home);
}

#[test]
fn the_lines_of_the_example_encoder_complete_a_configuration() {
    let running = start(at_noon());
    let page = page("examples/encoder/README.md");
    let part = &page.blocks_of("toml")[0];
    let home = Home::new();
    fs::write(home.path("encoder.wasm"), watchbell_tests::EXAMPLE_ENCODER).unwrap();
    let text = format!("data_dir = \"data\"\n{}{}", source(&running), part.text);
    is_valid(&part.place, "watchbell.toml", &text, &home);
}
