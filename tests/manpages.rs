//! The manual pages of the C functions say what the headers say.

use std::path::{Path, PathBuf};
use std::process::Command;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn pages() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository("packaging/man")).unwrap();
    let mut pages: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "3"));
    pages
}

/// Whether a program can be started; prints why a test is skipped if not.
fn there_is(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        println!("skip: there is no {program}");
    }
    found
}

#[test]
fn every_function_has_a_page_that_agrees_with_its_header() {
    if !there_is("python3") {
        return;
    }
    let script = repository("packaging/man/generate.py");
    let output = Command::new("python3").arg(script).arg("--check").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, "21 pages\n");
}

#[test]
fn the_pages_are_set_without_a_warning() {
    assert_eq!(pages().len(), 22);
    if !there_is("groff") {
        return;
    }
    let output = Command::new("groff").args(["-man", "-ww", "-z"]).args(pages()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn the_example_compiles() {
    let page = std::fs::read_to_string(repository("packaging/man/libSaEvt.3")).unwrap();
    let (_, example) = page.split_once(".EX\n").unwrap();
    let (example, _) = example.split_once(".EE\n").unwrap();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example.c");
    std::fs::write(&file, example.replace("\\(aq", "'")).unwrap();
    let output = Command::new("cc")
        .args(["-std=c99", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .args([repository("include"), file])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
