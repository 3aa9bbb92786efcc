//! The command-line tool: what an administrator or a script does with the service.
//!
//! It is a program like any other: everything goes through the safe interface of the crate
//! (`SaEvt::api`). Names, patterns and data come from anybody, so whatever is shown to people goes
//! through `text::escape` first.
#![allow(clippy::disallowed_methods)] // A program: clocks, threads, the environment.
#![forbid(unsafe_code)]

mod arguments;
mod command;
mod failure;
mod format;
mod interrupt;
mod json;
mod output;
mod publish;
mod service;
mod small;
mod text;
mod watch;

use arguments::{Arguments, Task};
use clap::Parser;
use failure::Failure;
use std::process::ExitCode;

/// Runs the tool.
pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return failure::of_arguments(&error),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let general = &arguments.general;
    match &arguments.task {
        Task::Watch(task) => watch::run(task, general),
        Task::Publish(task) => publish::run(task, general),
        Task::Unlink(task) => small::unlink(task, general),
        Task::Clear(task) => small::clear(task, general),
    }
}
