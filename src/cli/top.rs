//! `saevt top`: channels and clients as they change.

mod board;
mod view;

use super::arguments::{General, Top};
use super::failure::{Failure, Status};
use super::interrupt::Interrupts;
use super::service;
use SaEvt::api::Connection;
use board::{Board, Look};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// Signals are looked for so often.
const TICK: Duration = Duration::from_millis(200);

/// Runs the command.
pub(super) fn run(task: &Top, general: &General) -> Result<(), Failure> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Failure::new(
            Status::Usage,
            "top needs a terminal; `saevt status`, `channels` and `clients` with --json are for \
             programs",
        ));
    }
    let connection = service::connect(general)?;
    let interrupts = Interrupts::begin()?;
    let mut board = Board::default();
    look(&connection, &mut board);
    let mut terminal =
        ratatui::try_init().map_err(|error| Failure::of_system("no live view", &error))?;
    let outcome = show(&mut terminal, &connection, &interrupts, &mut board, task.every);
    ratatui::restore();
    outcome
}

fn show(
    terminal: &mut DefaultTerminal,
    connection: &Connection,
    interrupts: &Interrupts,
    board: &mut Board,
    every: Duration,
) -> Result<(), Failure> {
    let fail = |error: io::Error| Failure::of_system("the live view ends", &error);
    let mut next = Instant::now() + every;
    loop {
        terminal.draw(|frame| view::draw(frame, board)).map_err(fail)?;
        interrupts.check()?;
        let left = next.saturating_duration_since(Instant::now());
        // A change of the terminal's size is an event too: what follows is drawn anew.
        if event::poll(left.min(TICK)).map_err(fail)? {
            if let Event::Key(key) = event::read().map_err(fail)?
                && key.kind == KeyEventKind::Press
                && !press(key, board)
            {
                return Ok(());
            }
        } else if left <= TICK {
            next = Instant::now() + every;
            if !board.is_paused {
                look(connection, board);
            }
        }
    }
}

/// Looks at the service once. One that does not answer leaves what was known, and says so.
fn look(connection: &Connection, board: &mut Board) {
    let looked = connection.node().and_then(|node| {
        let (channels, programs) = (connection.channels()?, connection.programs()?);
        Ok(Look { at: Instant::now(), node, channels, programs })
    });
    match looked {
        Ok(look) => board.take(look),
        Err(error) => board.trouble = Some(format!("the daemon does not answer now: {error}")),
    }
}

/// Does what a key means; false for the end.
fn press(key: KeyEvent, board: &mut Board) -> bool {
    match key.code {
        KeyCode::Char('q') => return false,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Esc | KeyCode::Backspace => board.go_back(),
        KeyCode::Enter => board.go_in(),
        KeyCode::Tab | KeyCode::BackTab => board.go_aside(),
        KeyCode::Up | KeyCode::Char('k') => board.step(-1),
        KeyCode::Down | KeyCode::Char('j') => board.step(1),
        KeyCode::PageUp => board.step(-20),
        KeyCode::PageDown => board.step(20),
        KeyCode::Home => board.step(isize::MIN),
        KeyCode::End => board.step(isize::MAX),
        KeyCode::Char('s') => board.sort_by_next(),
        KeyCode::Char('r') => board.turn_round(),
        KeyCode::Char('p') => board.is_paused = !board.is_paused,
        _ => {}
    }
    true
}
