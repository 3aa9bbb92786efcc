//! The live view on the screen.

use super::board::{Board, ChannelRow, Curve, Page, ProgramRow, waiting};
use crate::cli::programs;
use crate::cli::text::{self, escape};
use SaEvt::api::ChannelStatus;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, TableState};

const KEYS: &str =
    "q end  arrows move  Enter channel  Esc back  Tab clients  s sort  r turn round  p pause";
/// Columns of the small curve of a row.
const CURVE: usize = 12;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

const BAD: Style = Style::new().fg(Color::Red);
const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);
const MARKED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board) {
    let curve = if frame.area().height >= 14 { 4 } else { 0 };
    let parts = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(curve),
        Constraint::Min(1),
        Constraint::Length(1),
    ]);
    let [head, above, middle, foot] = parts.areas(frame.area());
    frame.render_widget(header(board), head);
    match board.page {
        Page::Channels => {
            draw_curve(frame, above, "events/s, all channels", &board.curve);
            draw_channels(frame, middle, board);
        }
        Page::Programs => {
            draw_curve(frame, above, "events/s, all channels", &board.curve);
            draw_programs(frame, middle, board);
        }
        Page::Channel => {
            let whole = Rect { height: above.height + middle.height, ..above };
            draw_channel(frame, whole, board);
        }
    }
    let foot_line = match &board.trouble {
        Some(trouble) => Line::styled(trouble.clone(), BAD),
        None => Line::from(KEYS),
    };
    frame.render_widget(Paragraph::new(foot_line), foot);
}

fn header(board: &Board) -> Text<'static> {
    let Some(node) = &board.node else { return Text::from("no look at the service yet") };
    let count = |name: &str| {
        let known = node.counters.iter().find(|(known, _)| known == name);
        known.map_or(0, |(_, value)| *value)
    };
    let age = text::span(crate::cli::status::since(node.since_ns));
    let state = if board.is_paused { "  PAUSED" } else { "" };
    let first = format!(
        "saevtd {}, process {}, running for {age}{state}",
        escape(node.version.as_bytes()),
        node.pid
    );
    let lost = count("lost_events");
    let second = vec![
        Span::raw(format!("{} events/s  ", board.curve.back().copied().unwrap_or_default())),
        Span::styled(format!("{lost} lost-events"), if lost > 0 { BAD } else { Style::new() }),
        Span::raw(format!(
            "  {} channels  {} clients  {} queued  {} retained",
            board.channels.len(),
            board.programs.len(),
            text::bytes(count("queued_bytes")),
            count("retained_events"),
        )),
    ];
    Text::from(vec![Line::styled(first, HEAD), Line::from(second)])
}

/// The newest rates that fit.
fn draw_curve(frame: &mut Frame<'_>, area: Rect, title: &'static str, curve: &Curve) {
    let most = curve.iter().max().copied().unwrap_or_default();
    let block = Block::new().title(format!("{title}, at most {most}"));
    let skip = curve.len().saturating_sub(usize::from(area.width));
    let data: Vec<u64> = curve.iter().skip(skip).copied().collect();
    frame.render_widget(Sparkline::default().block(block).data(data), area);
}

/// The newest rates as small bars.
fn bars(curve: Option<&Curve>) -> String {
    let Some(curve) = curve else { return String::new() };
    let skip = curve.len().saturating_sub(CURVE);
    let most = curve.iter().skip(skip).max().copied().unwrap_or_default().max(1);
    let bar = |rate: &u64| BARS[(rate * (BARS.len() as u64 - 1)).div_ceil(most) as usize];
    curve.iter().skip(skip).map(bar).collect()
}

fn number(value: impl ToString) -> Cell<'static> {
    Cell::from(Line::from(value.to_string()).alignment(Alignment::Right))
}

fn losses(all: u64, new: u64) -> Cell<'static> {
    let shown = if new > 0 { format!("{all} (+{new})") } else { all.to_string() };
    number(shown).style(if new > 0 { BAD } else { Style::new() })
}

/// A column of a table. The first one is as wide as the others leave it, `width` at least.
struct Column {
    /// Its head; that over numbers begins with `>`.
    head: &'static str,
    width: u16,
    /// Those with the largest are left out first where the screen is narrow.
    rank: u8,
}

const fn column(head: &'static str, width: u16, rank: u8) -> Column {
    Column { head, width, rank }
}

const CHANNEL_COLUMNS: [Column; 8] = [
    column("CHANNEL", 15, 0),
    column(">EVENTS/S", 10, 1),
    column("", CURVE as u16, 6),
    column(">EVENTS", 12, 5),
    column(">PUB", 5, 7),
    column(">SUB", 5, 4),
    column(">RETAINED", 9, 3),
    column(">LOST", 12, 2),
];

const PROGRAM_COLUMNS: [Column; 9] = [
    column("PROGRAM", 15, 0),
    column(">PID", 10, 1),
    column(">WAITING", 10, 2),
    column(">QUEUED", 8, 6),
    column(">EVENTS/S", 10, 4),
    column(">PUBLISHED", 12, 7),
    column(">SUBS", 6, 8),
    column(">SHARED", 10, 5),
    column(">LOST", 12, 3),
];

/// The places of the columns that fit, that of the order among them.
fn fitting(columns: &[Column], width: u16, order: &str) -> Vec<usize> {
    let rank = |place: usize| {
        let Column { head, rank, .. } = columns[place];
        if head.trim_start_matches('>') == order { 0 } else { rank }
    };
    let mut places: Vec<usize> = (0..columns.len()).collect();
    while places.iter().map(|place| columns[*place].width + 1).sum::<u16>() > width + 1 {
        let least =
            places.iter().copied().filter(|place| rank(*place) > 0).max_by_key(|it| rank(*it));
        match least {
            Some(least) => places.retain(|place| *place != least),
            None => break,
        }
    }
    places
}

/// The head of a column; that of the order is marked.
fn head(column: &Column, board: &Board) -> Cell<'static> {
    let mark = if board.is_reversed { "▲" } else { "▼" };
    let plain = column.head.trim_start_matches('>');
    let shown = if plain == board.order() { format!("{plain}{mark}") } else { plain.to_owned() };
    if column.head.starts_with('>') { number(shown) } else { Cell::from(shown) }
}

fn draw_table(
    frame: &mut Frame<'_>,
    area: Rect,
    board: &Board,
    columns: &[Column],
    rows: Vec<Vec<Cell<'static>>>,
) {
    let places = fitting(columns, area.width, board.order());
    let heads = Row::new(places.iter().map(|place| head(&columns[*place], board))).style(HEAD);
    let row = |cells: Vec<Cell<'static>>| {
        let cells = cells.into_iter().enumerate();
        Row::new(cells.filter(|(place, _)| places.contains(place)).map(|(_, cell)| cell))
    };
    let widths = places.iter().map(|place| match place {
        0 => Constraint::Fill(1),
        _ => Constraint::Length(columns[*place].width),
    });
    let table = Table::new(rows.into_iter().map(row), widths).header(heads);
    let mut state = TableState::default().with_selected(Some(board.row()));
    frame.render_stateful_widget(table.row_highlight_style(MARKED), area, &mut state);
}

fn draw_channels(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let row = |row: &ChannelRow| {
        let status = &row.status;
        vec![
            Cell::from(channel_name(status)),
            number(format!("{:.0}", row.rate)),
            Cell::from(bars(board.curves.get(&status.name).filter(|_| status.linked))),
            number(status.publications),
            number(status.publishers),
            number(status.subscribers),
            number(status.retained_events),
            losses(status.lost_events, row.losses),
        ]
    };
    let rows = board.channels.iter().map(row).collect();
    draw_table(frame, area, board, &CHANNEL_COLUMNS, rows);
}

fn draw_programs(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let row = |row: &ProgramRow| {
        let status = &row.status;
        vec![
            Cell::from(programs::name_of(status.pid)),
            number(status.pid),
            number(text::bytes(waiting(status))),
            number(status.queued_events),
            number(format!("{:.0}", row.rate)),
            number(status.publications),
            number(status.subscriptions),
            number(text::bytes(status.shared_bytes)),
            losses(status.lost_events, row.losses),
        ]
    };
    let rows = board.programs.iter().map(row).collect();
    draw_table(frame, area, board, &PROGRAM_COLUMNS, rows);
}

fn channel_name(status: &ChannelStatus) -> String {
    let name = escape(status.name.octets());
    if status.linked { name } else { format!("{name} (unlinked)") }
}

fn draw_channel(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let Some(row) = board.channel() else {
        frame.render_widget(Paragraph::new("this channel has gone; Esc goes back"), area);
        return;
    };
    let status = &row.status;
    let created = match status.created_ns {
        ChannelStatus::UNKNOWN => "unknown".to_owned(),
        known => text::date(known),
    };
    let facts = [
        ("created", created),
        ("open", status.openers.to_string()),
        ("for publishing", status.publishers.to_string()),
        ("for subscribing", status.subscribers.to_string()),
        ("events", format!("{}, {:.1} a second", status.publications, row.rate)),
        (
            "retained",
            format!("{} events, {}", status.retained_events, text::bytes(status.retained_bytes)),
        ),
        ("lost-events", format!("{}, {} of them new", status.lost_events, row.losses)),
    ];
    let mut lines = vec![Line::styled(channel_name(status), HEAD), Line::default()];
    lines.extend(facts.into_iter().map(|(name, value)| Line::from(format!("{name:<16} {value}"))));
    let height = lines.len() as u16 + 1;
    let parts = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]);
    let [above, below] = parts.areas(area);
    frame.render_widget(Paragraph::new(lines), above);
    if let Some(curve) = board.curves.get(&status.name) {
        draw_curve(frame, below, "events/s", curve);
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::board;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn screen(board: &Board, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, board)).unwrap();
        let buffer = terminal.backend().buffer();
        let cells = buffer.content().chunks(usize::from(width));
        cells
            .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>())
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn each_page_shows_its_rows() {
        let mut board = board();
        let channels = screen(&board, 110, 24);
        assert!(channels[0].starts_with("saevtd 9.9, process 77, running for "));
        let expected = "15 events/s  12 lost-events  4 channels  2 clients";
        assert!(channels[1].starts_with(expected), "{}", channels[1]);
        let head = channels.iter().position(|line| line.starts_with("CHANNEL")).unwrap();
        assert!(channels[head].contains("EVENTS/S▼"));
        assert!(channels[head + 1].starts_with("b "), "{}", channels[head + 1]);
        assert!(channels[head + 1].contains("▁█"));
        board.go_aside();
        assert!(screen(&board, 110, 24).iter().any(|line| line.contains("WAITING▼")));
        board.go_back();
        board.go_in();
        let alone = screen(&board, 110, 24);
        assert!(alone.iter().any(|line| line == "events           120, 10.0 a second"));
    }

    #[test]
    fn a_narrow_screen_has_names_and_what_they_are_sorted_by() {
        let mut board = board();
        while board.order() != "RETAINED" {
            board.sort_by_next();
        }
        for width in [26, 40, 60, 80] {
            let screen = screen(&board, width, 10);
            let head = screen.iter().find(|line| line.starts_with("CHANNEL ")).unwrap();
            assert!(head.contains("RETAINED▼"), "{width}: {head}");
            assert_eq!(head.contains("EVENTS/S"), width > 26, "{width}: {head}");
            assert_eq!(head.contains("PUB"), width > 80, "{width}: {head}");
            assert!(screen.iter().any(|line| line.starts_with("a ")), "{screen:?}");
        }
        board.go_aside();
        let screen = screen(&board, 40, 10);
        assert!(screen.iter().any(|line| line.starts_with("PROGRAM ")), "{screen:?}");
    }

    #[test]
    fn any_size_of_the_screen_can_be_drawn() {
        let mut board = board();
        for _ in 0..3 {
            for (width, height) in [(1, 1), (3, 40), (200, 2), (20, 10), (80, 24)] {
                assert_eq!(screen(&board, width, height).len(), usize::from(height));
            }
            board.go_aside();
            board.go_in();
        }
    }

    #[test]
    fn small_bars_show_the_newest_rates() {
        let curve: Curve = (0..20).collect();
        assert_eq!(bars(Some(&curve)).chars().count(), CURVE);
        assert_eq!(bars(Some(&Curve::from([0, 1, 7]))), "▁▂█");
        assert_eq!(bars(Some(&Curve::from([0, 0]))), "▁▁");
        assert_eq!(bars(None), "");
    }
}
