//! Manual pages and completions are made from the definition of the arguments. Those that are kept
//! in the tree, so that installing needs no tool, are held against it here.
//!
//! After a change of the arguments: `SAEVT_RENEW=1 cargo test --bin saevt pages`.

use super::arguments::Arguments;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folders below `packaging`.
const PAGES: &str = "man";
const COMPLETIONS: &str = "completions";

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

/// The definition with what clap adds to it.
fn command() -> Command {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    command
}

fn page(command: Command, name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (is_whole, has_more) = (name == "saevt", command.has_subcommands());
    let page = clap_mangen::Man::new(command)
        .title(name.to_uppercase())
        .source(concat!("saevt ", env!("CARGO_PKG_VERSION")))
        .manual("AIS Event Service");
    page.render_title(&mut text).unwrap();
    page.render_name_section(&mut text).unwrap();
    page.render_synopsis_section(&mut text).unwrap();
    page.render_description_section(&mut text).unwrap();
    page.render_options_section(&mut text).unwrap();
    if has_more {
        page.render_subcommands_section(&mut text).unwrap();
    }
    text.extend(more_sections(&more).bytes());
    let see: &[&str] = match is_whole {
        true => &["libSaEvt (3)", "saevtd.conf (5)", "saevtd (8)"],
        false => &["saevt (1)", "libSaEvt (3)", "saevtd.conf (5)"],
    };
    let see: Vec<_> = see.iter().map(|page| format!(".BR {page}")).collect();
    text.extend(format!(".SH SEE ALSO\n{}\n", see.join(",\n")).bytes());
    text
}

/// What the help says behind the options: a block of lines below `Examples:` or `Exit status:` is a
/// section of its own, all else are notes.
fn more_sections(more: &str) -> String {
    let mut sections = String::new();
    for block in more.split("\n\n").filter(|block| !block.is_empty()) {
        let (heading, body) = match block.split_once(":\n  ") {
            Some((heading, _)) => (heading.to_uppercase(), &block[heading.len() + 2..]),
            None => ("NOTES".to_owned(), block),
        };
        let lines: Vec<_> = body.lines().map(roff).collect();
        let lines = lines.join("\n");
        sections += &match heading.as_str() {
            "NOTES" if sections.contains("\n.SH NOTES\n") => format!(".PP\n{lines}\n"),
            "NOTES" => format!("\n.SH NOTES\n{lines}\n"),
            _ => format!(".SH {heading}\n.nf\n{lines}\n.fi\n"),
        };
    }
    sections.replace("\n\n", "\n")
}

/// A line of text in which nothing is a request.
fn roff(line: &str) -> String {
    let line = line.trim_start().replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if line.starts_with('.') { format!("\\&{line}") } else { line }
}

/// Every file by its path below `packaging`.
fn files() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let all = command();
    files.insert(Path::new(PAGES).join("saevt.1"), page(all.clone(), "saevt"));
    for each in all.get_subcommands() {
        let name = format!("saevt-{}", each.get_name());
        files.insert(Path::new(PAGES).join(format!("{name}.1")), page(each.clone(), &name));
        for part in each.get_subcommands() {
            let name = format!("{name}-{}", part.get_name());
            files.insert(Path::new(PAGES).join(format!("{name}.1")), page(part.clone(), &name));
        }
    }
    for (shell, name) in
        [(Shell::Bash, "saevt.bash"), (Shell::Zsh, "_saevt"), (Shell::Fish, "saevt.fish")]
    {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "saevt", &mut text);
        files.insert(Path::new(COMPLETIONS).join(name), text);
    }
    files
}

#[test]
fn the_pages_and_completions_in_the_tree_are_those_of_this_version() {
    let renew = std::env::var_os("SAEVT_RENEW").is_some();
    for (path, content) in files() {
        let path = packaging().join(path);
        if renew {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &content).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(
            kept == content,
            "{} is of another version: SAEVT_RENEW=1 cargo test --bin saevt pages",
            path.display()
        );
    }
}

#[test]
fn nothing_in_the_tree_is_left_from_another_version() {
    let files = files();
    for folder in [PAGES, COMPLETIONS] {
        for entry in std::fs::read_dir(packaging().join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            let name = path.file_name().unwrap().to_str().unwrap();
            let ours =
                folder == COMPLETIONS || name.starts_with("saevt-") || name.starts_with("saevt.");
            assert!(!ours || files.contains_key(&path), "{}", path.display());
        }
    }
}

#[test]
fn the_pages_are_set_without_a_warning() {
    if std::process::Command::new("groff").arg("--version").output().is_err() {
        println!("skip: there is no groff");
        return;
    }
    let pages = files().into_keys().filter(|path| path.starts_with(PAGES));
    let pages = pages.map(|path| packaging().join(path));
    let mut groff = std::process::Command::new("groff");
    let output = groff.args(["-man", "-ww", "-z"]).args(pages).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn every_command_has_examples() {
    for each in command().get_subcommands() {
        let help = each.get_after_help().map(ToString::to_string).unwrap_or_default();
        let example = format!("\n  saevt {}", each.get_name());
        assert!(help.starts_with("Examples:\n"), "{}", each.get_name());
        assert!(help.contains(&example) || help.contains("saevt clear"), "{}", each.get_name());
    }
}
