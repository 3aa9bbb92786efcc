//! `saevt top`: channels and clients as they change.

mod board;
mod view;

use super::arguments::{General, Top};
use super::failure::{Failure, Status};
use super::interrupt::Interrupts;
use super::service;
use SaEvt::api::{Connection, Error};
use board::{Board, Look};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Signals are looked for so often, and answers of the daemon while one is awaited.
const TICK: Duration = Duration::from_millis(200);
const ANSWER_TICK: Duration = Duration::from_millis(20);
/// A daemon that has not answered for so long is told of.
const SILENCE: Duration = Duration::from_secs(2);

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
    let mut terminal =
        ratatui::try_init().map_err(|error| Failure::of_system("no live view", &error))?;
    let outcome = show(&mut terminal, Looker::new(connection), &interrupts, task.every);
    ratatui::restore();
    outcome
}

fn show(
    terminal: &mut DefaultTerminal,
    mut looker: Looker,
    interrupts: &Interrupts,
    every: Duration,
) -> Result<(), Failure> {
    let fail = |error: io::Error| Failure::of_system("the live view ends", &error);
    let mut board = Board::default();
    let mut next = Instant::now();
    loop {
        if Instant::now() >= next {
            next = Instant::now() + every;
            if !board.is_paused {
                looker.ask();
            }
        }
        looker.hear(&mut board);
        terminal.draw(|frame| view::draw(frame, &board)).map_err(fail)?;
        interrupts.check()?;
        let tick = if looker.asked.is_some() { ANSWER_TICK } else { TICK };
        let left = next.saturating_duration_since(Instant::now());
        // A change of the terminal's size is an event too: what follows is drawn anew.
        if event::poll(left.min(tick)).map_err(fail)?
            && let Event::Key(key) = event::read().map_err(fail)?
            && key.kind == KeyEventKind::Press
            && !press(key, &mut board)
        {
            return Ok(());
        }
    }
}

/// Looks at the service in a thread of its own, so that a daemon that does not answer keeps no key
/// from being heard.
struct Looker {
    wanted: Sender<()>,
    looks: Receiver<Result<Look, Error>>,
    /// Since when an answer is awaited.
    asked: Option<Instant>,
}

impl Looker {
    fn new(connection: Connection) -> Self {
        let (wanted, wishes) = channel();
        let (done, looks) = channel();
        // It ends with the program, or when nobody wants a look any more.
        std::thread::spawn(
            move || {
                while wishes.recv().is_ok() && done.send(look(&connection)).is_ok() {}
            },
        );
        Self { wanted, looks, asked: None }
    }

    /// Asks for a look, if none is on its way.
    fn ask(&mut self) {
        if self.asked.is_none() && self.wanted.send(()).is_ok() {
            self.asked = Some(Instant::now());
        }
    }

    /// Takes the look that has come. Until one does, what was known stays, and is said to be old.
    fn hear(&mut self, board: &mut Board) {
        match self.looks.try_recv() {
            Ok(outcome) => {
                self.asked = None;
                match outcome {
                    Ok(look) => board.take(look),
                    Err(error) => {
                        board.trouble = Some(format!("the daemon does not answer now: {error}"));
                    }
                }
            }
            Err(_) => {
                let silent = self.asked.map_or(Duration::ZERO, |asked| asked.elapsed());
                if silent >= SILENCE {
                    let seconds = silent.as_secs();
                    board.trouble =
                        Some(format!("the daemon has not answered for {seconds} s; q ends"));
                }
            }
        }
    }
}

/// Looks at the service once.
fn look(connection: &Connection) -> Result<Look, Error> {
    let node = connection.node()?;
    let (channels, programs) = (connection.channels()?, connection.programs()?);
    Ok(Look { at: Instant::now(), node, channels, programs })
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
