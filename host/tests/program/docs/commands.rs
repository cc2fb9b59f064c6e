//! Every `watchbell` command of the documentation has verbs and flags that exist.

use super::super::support::{Home, run};
use super::pages::{Page, page, pages};
use std::collections::BTreeSet;
use std::process::Command;
use watchbell_simulator::Effect;

/// Whether a line of a shell is one of ours; variables may stand before it.
fn is_ours(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.find(|word| !word.contains('=')) == Some("watchbell")
}

/// Gives the command `--help` behind all its arguments: the program judges verbs, flags and
/// values, and does nothing. The shell reads quotes, variables, comments and redirections.
fn judged(home: &Home, line: &str) -> Result<(), String> {
    let line = line.replace(" …", "").replace("/usr/local/bin/", "");
    let script = format!(
        "watchbell() {{ \"$PROGRAM\" \"$@\" --help >help; }}\n{line}\n\
         test -s help"
    );
    home.write("help", "");
    home.write("token.txt", "");
    let ran = run(Command::new("sh")
        .args(["-ec", &script])
        .current_dir(home.path(""))
        .env("PROGRAM", env!("CARGO_BIN_EXE_watchbell")));
    match ran.code {
        Some(0) => Ok(()),
        _ => Err(format!("{line}\n{}", ran.stderr)),
    }
}

#[test]
fn every_command_of_the_documentation_exists() {
    let home = Home::new();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let mut judge = |place: &str, line: &str| {
        seen += 1;
        if let Err(words) = judged(&home, line) {
            wrong.push(format!("{place}: {words}"));
        }
    };
    for page in pages() {
        for block in page.blocks() {
            match block.language.as_str() {
                "sh" => {
                    for line in block.commands().iter().filter(|line| is_ours(line)) {
                        judge(&block.place, line);
                    }
                }
                // Units, crontabs and Fluent Bit name the program by its whole path.
                "ini" | "text" => {
                    for line in block.text.lines() {
                        if let Some(at) = line.find("/usr/local/bin/watchbell ") {
                            judge(&block.place, &line[at..]);
                        }
                    }
                }
                "toml" => {
                    let table: toml::Table = toml::from_str(&block.text).unwrap_or_default();
                    let sources = table.get("sources").and_then(toml::Value::as_table);
                    for source in sources.into_iter().flat_map(toml::Table::values) {
                        if let Some(command) = source.get("command").and_then(toml::Value::as_array)
                        {
                            let words: Vec<_> =
                                command.iter().filter_map(toml::Value::as_str).collect();
                            judge(&block.place, &words.join(" "));
                        }
                    }
                }
                "yaml" => {
                    for line in block.text.lines() {
                        if let Some(list) = line.trim().strip_prefix("args: ") {
                            let words: Vec<String> = serde_json::from_str(list).unwrap();
                            judge(&block.place, &format!("watchbell {}", words.join(" ")));
                        }
                    }
                }
                _ => {}
            }
        }
        for (place, span) in page.code_spans() {
            if is_ours(&span) && span.contains(' ') {
                judge(&place, &span);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 40, "{seen} commands were found");
}

/// The flags that a verb's `--help` lists.
fn flags(home: &Home, verb: &str) -> BTreeSet<String> {
    let help = run(&mut home.watchbell([verb, "--help"])).ok();
    let lines = help.lines().map(str::trim_start);
    let lines = lines.filter(|line| line.starts_with('-'));
    let words = lines.flat_map(|line| line.split_whitespace().take(2));
    words
        .filter(|word| word.starts_with("--"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_simulators_page_and_its_help_leave_nothing_out() {
    let home = Home::new();
    let text = page("docs/guides/simulator.md").text;
    // What every verb has is described elsewhere.
    let everywhere = flags(&home, "validate");
    let own = flags(&home, "simulate");
    assert!(own.len() > 10, "{own:?}");
    for flag in own.difference(&everywhere) {
        let is_there = [' ', '`']
            .iter()
            .any(|end| text.contains(&format!("`{flag}{end}")));
        assert!(is_there, "docs/guides/simulator.md says nothing of {flag}");
    }
    let help = run(&mut home.watchbell(["simulate", "--help"])).ok();
    for effect in Effect::NAMES {
        assert!(help.contains(effect), "{effect} is missing:\n{help}");
    }
    assert!(help.contains("docs/guides/simulator.md") && help.contains("/_control/faults"));
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = pages();
    let broken: Vec<String> = pages.iter().flat_map(Page::broken_links).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(pages.len() >= 16, "{}", pages.len());
}

/// The page of the command line names every verb, and no other.
#[test]
fn the_page_of_the_command_line_has_every_verb() {
    let help = run(Command::new(env!("CARGO_BIN_EXE_watchbell")).arg("--help")).ok();
    let (_, verbs) = help.split_once("Commands:\n").unwrap();
    let (verbs, _) = verbs.split_once("\n\n").unwrap();
    let verbs = verbs.lines().filter(|line| !line.starts_with("   "));
    let verbs: BTreeSet<&str> = verbs
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let text = page("docs/reference/command-line.md").text;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| row.split(['`', ' ']).next());
    let named: BTreeSet<&str> = rows.filter(|word| !word.starts_with('-')).collect();
    let named: BTreeSet<&str> = named
        .into_iter()
        .filter(|word| word.chars().all(char::is_lowercase))
        .collect();
    assert_eq!(&named | &["help"].into(), verbs);
}
