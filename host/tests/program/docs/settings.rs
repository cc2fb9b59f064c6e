//! The reference of settings is what the program prints of itself.

use super::super::support::{Home, run};
use super::pages::page;

#[test]
fn the_reference_of_settings_is_what_the_program_prints() {
    let home = Home::new();
    let printed = run(&mut home.watchbell(["schema", "--format", "markdown"])).ok();
    let settings = printed.lines().filter(|line| line.starts_with("| `"));
    assert!(settings.count() > 100, "{printed}");
    assert!(
        page("docs/reference/settings.md").text == printed,
        "docs/reference/settings.md is not what the program prints; run: watchbell schema --format markdown > docs/reference/settings.md"
    );
}
