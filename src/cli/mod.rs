//! The command-line tool: what an administrator or a script does with the service.
//!
//! It is a program like any other: everything goes through the safe interface of the crate
//! (`SaEvt::api`). Names, patterns and data come from anybody, so whatever is shown to people goes
//! through `text::escape` first.
#![allow(clippy::disallowed_methods)] // A program: clocks, threads, the environment.
#![forbid(unsafe_code)]

mod arguments;
mod bench;
mod command;
mod doctor;
mod failure;
mod format;
mod interrupt;
mod json;
mod members;
mod output;
#[cfg(test)]
mod pages;
mod policy;
mod programs;
mod publish;
mod rates;
mod service;
mod small;
mod status;
mod table;
mod text;
mod top;
mod values;
mod watch;

use arguments::{Arguments, PolicyTask, Task};
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
        Task::Status(task) => status::node(task, general),
        Task::Channels(task) => status::channels(task, general),
        Task::Clients(task) => status::clients(task, general),
        Task::Members(task) => members::run(task, general),
        Task::Retained(task) => status::retained(task, general),
        Task::Limits(task) => status::limits(task, general),
        Task::Bench(task) => bench::run(task, general),
        Task::Doctor(task) => doctor::run(task, general),
        Task::Top(task) => top::run(task, general),
        Task::Policy(task) => match &task.task {
            PolicyTask::Test(task) => policy::test(task),
        },
    }
}
