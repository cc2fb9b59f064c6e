//! The pages, taken apart into their code blocks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A page of the documentation.
pub(super) struct Page {
    /// Its path from the repository's root.
    pub(super) name: String,
    pub(super) text: String,
}

/// A fenced block of code.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Page and line, for messages.
    pub(super) place: String,
    pub(super) language: String,
    /// The section's heading, without its `#`.
    pub(super) section: String,
    pub(super) text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

pub(super) fn page(name: &str) -> Page {
    Page {
        name: name.to_owned(),
        text: fs::read_to_string(root().join(name)).unwrap(),
    }
}

/// What the headings of a page are linked by, as on GitHub.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

/// README.md, every page below docs/, and the READMEs of the examples.
pub(super) fn pages() -> Vec<Page> {
    let mut names = vec!["README.md".to_owned()];
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                folders.push(name);
            } else if name.ends_with(".md") {
                names.push(name);
            }
        }
    }
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let readme = entry.unwrap().path().join("README.md");
        if readme.exists() {
            let name = readme.strip_prefix(root()).unwrap();
            names.push(name.to_str().unwrap().to_owned());
        }
    }
    names.sort();
    names.iter().map(|name| page(name)).collect()
}

impl Page {
    /// Links to files of the repository that are not there, and to headings that no page has.
    pub(super) fn broken_links(&self) -> Vec<String> {
        let folder = Path::new(&self.name).parent().unwrap();
        let is_broken = |link: &&str| {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => root().join(&self.name),
                _ => root().join(folder).join(file),
            };
            let is_there = |text: String| heading.is_empty() || anchors(&text).contains(heading);
            !path.is_dir() && !fs::read_to_string(path).is_ok_and(is_there)
        };
        let links = self.text.split("](").skip(1);
        let links = links.filter_map(|rest| rest.split_once(')').map(|(link, _)| link));
        let own = links.filter(|link| !link.contains("://"));
        own.filter(is_broken)
            .map(|link| format!("{}: {link}", self.name))
            .collect()
    }

    /// Its blocks, in order.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut section = String::new();
        let mut lines = self.text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            if line.starts_with("## ") {
                section = line.trim_start_matches('#').trim().to_owned();
            }
            let Some(language) = line.trim_start().strip_prefix("```") else {
                continue;
            };
            let mut text = String::new();
            for (_, line) in lines.by_ref() {
                if line.trim_start().starts_with("```") {
                    break;
                }
                text.push_str(line);
                text.push('\n');
            }
            blocks.push(Block {
                place: format!("{}:{}", self.name, number + 1),
                language: language.trim().to_owned(),
                section: section.clone(),
                text,
            });
        }
        blocks
    }

    /// Its blocks of one language.
    pub(super) fn blocks_of(&self, language: &str) -> Vec<Block> {
        let mut blocks = self.blocks();
        blocks.retain(|block| block.language == language);
        blocks
    }

    /// What stands between single backticks outside of the blocks, with its line.
    pub(super) fn code_spans(&self) -> Vec<(String, String)> {
        let mut is_inside = false;
        let mut spans = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                is_inside = !is_inside;
            } else if !is_inside {
                let spans_of_line = line.split('`').skip(1).step_by(2);
                let place = format!("{}:{}", self.name, number + 1);
                spans.extend(spans_of_line.map(|span| (place.clone(), span.to_owned())));
            }
        }
        spans
    }
}

impl Block {
    /// The commands of a shell block: a line each, continued lines joined, without comments
    /// and without what `<<'END'` takes as text.
    pub(super) fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        let joined = self.text.replace("\\\n", " ");
        let mut lines = joined.lines();
        while let Some(line) = lines.next() {
            if let Some((_, end)) = line.split_once("<<'") {
                let end = end.trim_end_matches('\'').to_owned();
                lines.by_ref().find(|line| *line == end);
            }
            if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
                commands.push(line.trim().to_owned());
            }
        }
        commands
    }
}
