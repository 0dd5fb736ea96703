use super::{Arrow, Draft, Finding, Mark, draft::Column};
use crate::record::Actor;

/// Characters between two lifelines.
const GAP: usize = 16;
/// Characters before the first lifeline.
const INDENT: usize = 2;

/// Draws arrows and marks in the draft's layout. An arrow that is one of the draft's has the draft's label and, in the
/// margin, its diagram and number; all have their size in octets there, and which client it is. A column that the draft
/// does not draw is there if somebody in it takes part.
pub fn draw(draft: &Draft, arrows: &[Arrow], findings: &[Finding], marks: &[Mark]) -> String {
    let drawn = |actor: Actor| draft.arrows.iter().any(|arrow| arrow.from.is(actor) || arrow.to.is(actor));
    let takes_part = |actor: Actor| arrows.iter().any(|arrow| arrow.from == actor || arrow.to == actor);
    let there = |(_, actors): &&Column| actors.iter().any(|actor| drawn(*actor) || takes_part(*actor));
    let mut canvas = Canvas::new(draft.columns.iter().filter(there).copied().collect());
    let mut marks = marks.iter().peekable();
    for (at, arrow) in arrows.iter().enumerate() {
        while let Some(mark) = marks.next_if(|mark| mark.at_ms <= arrow.at_ms) {
            canvas.mark(&mark.text);
        }
        let drafts: Vec<_> = findings.iter().filter(|found| found.place == Some(at)).map(|found| found.draft).collect();
        // Between providers an answer keeps what was really answered.
        let own = arrow.answer && arrow.from.is_server() && arrow.to.is_server();
        let label = drafts.iter().map(|draft| draft.label).find(|label| !own && !label.is_empty());
        let label = label.unwrap_or(&arrow.label);
        let client = [arrow.from, arrow.to].into_iter().find(|actor| !actor.is_server());
        let client = client.map(|client| client.to_string()).unwrap_or_default();
        let numbers: Vec<_> = drafts.iter().map(|draft| format!("{}.{}", draft.number.0, draft.number.1)).collect();
        let margin = format!("{:>8} {client:<8} {}", thousands(arrow.octets), numbers.join(" "));
        canvas.arrow(arrow.from, arrow.to, label, &margin);
    }
    marks.for_each(|mark| canvas.mark(&mark.text));
    canvas.finish()
}

/// A number with commas between its thousands.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The place of a gap in a line.
fn gap_start(gap: usize) -> usize {
    INDENT + gap * (GAP + 1) + 1
}

struct Canvas {
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// For each gap, the first row in which nothing stands yet.
    free: Vec<usize>,
}

struct Row {
    cells: Vec<char>,
    margin: String,
}

impl Canvas {
    fn new(columns: Vec<Column>) -> Self {
        let gaps = columns.len().saturating_sub(1);
        Self { columns, rows: Vec::new(), free: vec![0; gaps] }
    }

    fn gaps(&self) -> usize {
        self.free.len()
    }

    /// Characters of a line without the margin; the last heading goes beyond the last lifeline.
    fn width(&self) -> usize {
        INDENT + self.gaps() * (GAP + 1) + 7
    }

    fn column(&self, actor: Actor) -> usize {
        self.columns.iter().position(|(_, actors)| actors.contains(&actor)).unwrap_or_default()
    }

    fn row(&mut self, at: usize) -> Option<&mut Row> {
        while self.rows.len() <= at {
            let mut cells = vec![' '; self.width()];
            for line in 0..=self.gaps() {
                if let Some(cell) = cells.get_mut(INDENT + line * (GAP + 1)) {
                    *cell = '|';
                }
            }
            self.rows.push(Row { cells, margin: String::new() });
        }
        self.rows.get_mut(at)
    }

    fn write(&mut self, at: usize, start: usize, text: &str) {
        if let Some(row) = self.row(at) {
            for (cell, char) in row.cells.iter_mut().skip(start).zip(text.chars()) {
                *cell = char;
            }
        }
    }

    /// One arrow below those before it. Its label stands above it in its own gap, beside others' arrows.
    fn arrow(&mut self, from: Actor, to: Actor, label: &str, margin: &str) {
        let (from_at, to_at) = (self.column(from), self.column(to));
        let (left, right) = (from_at.min(to_at), from_at.max(to_at));
        let gap = left.min(self.gaps().saturating_sub(1));
        let rightward = from_at < to_at;
        let stroke = match (from.is_server(), to.is_server()) {
            (true, true) => "-",
            // Past all providers.
            (false, false) => "=",
            _ => "~",
        };
        let lines = wrap(label, GAP - 2);
        let first = self.free.get(gap).copied().unwrap_or_default();
        let at = self.rows.len().max(first + lines.len());
        for (up, line) in lines.iter().rev().enumerate() {
            // As in the draft, the answer's label is at the right.
            let space = if rightward { 1 } else { GAP - 1 - line.chars().count() };
            self.write(at - 1 - up, gap_start(gap) + space, line);
        }
        let shaft = stroke.repeat(((right - left) * (GAP + 1)).saturating_sub(2));
        let drawn = if rightward { format!("+{shaft}>") } else { format!("<{shaft}+") };
        let start = gap_start(gap) - usize::from(rightward);
        self.write(at, start, &drawn);
        if let Some(row) = self.row(at) {
            row.margin = margin.trim_end().to_owned();
        }
        for free in self.free.iter_mut().take(right).skip(left) {
            *free = at + 1;
        }
    }

    /// A line across all gaps.
    fn mark(&mut self, text: &str) {
        let at = self.rows.len() + 1;
        let middle: String = text.chars().take(GAP - 1).collect();
        for gap in [0, self.gaps().saturating_sub(1)] {
            self.write(at, gap_start(gap) + (GAP - 3) / 2, "...");
        }
        self.write(at, gap_start(1) + 1, &middle);
        self.row(at + 1);
        self.free.fill(at + 2);
    }

    fn finish(self) -> String {
        let mut heading = String::new();
        let width = self.width();
        for (at, (name, _)) in self.columns.iter().enumerate() {
            // Each name stands over its lifeline, the first at the margin.
            let start = (INDENT + at * (GAP + 1)).saturating_sub(INDENT);
            heading.push_str(&" ".repeat(start.saturating_sub(heading.len())));
            heading.push_str(name);
        }
        let mut text = format!("{heading:<width$}   octets client   draft\n");
        for row in self.rows {
            let cells: String = row.cells.into_iter().collect();
            text.push_str(format!("{cells} {}", row.margin).trim_end());
            text.push('\n');
        }
        text
    }
}

/// Breaks a label into lines at its spaces.
fn wrap(label: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in label.split_whitespace() {
        let word: String = word.chars().take(width).collect();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::{CONNECTION, check, draft::tests::whole_flow};

    #[test]
    fn an_arrow_has_its_label_above_and_its_size_beside_it() {
        let mut arrows = whole_flow();
        arrows.truncate(2);
        let drawn = draw(&CONNECTION, &arrows, &[], &[Mark { at_ms: 9, text: "60 days pass".into() }]);
        let expected = "\
ClientA*         ServerA          ServerB          ClientB*    octets client   draft
  |                |                |        request |
  |                |                |<~~~~~~~~~~~~~~~+          1,000 ClientB1
  |                |                | answer         |
  |                |                +~~~~~~~~~~~~~~~>|              0 ClientB1
  |                |                |                |
  |      ...       | 60 days pass   |      ...       |
  |                |                |                |
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn arrows_of_the_draft_have_its_labels_and_numbers() {
        let arrows = whole_flow();
        let drawn = draw(&CONNECTION, &arrows, &check(&CONNECTION, &arrows), &[]);
        let lines: Vec<&str> = drawn.lines().collect();
        for (diagram, last) in [(1, 6), (2, 17), (3, 7)] {
            for number in 1..=last {
                let tag = format!(" {diagram}.{number}");
                assert_eq!(lines.iter().filter(|line| line.ends_with(&tag)).count(), 1, "{tag}\n{drawn}");
            }
        }
        for label in ["| Add Alice's", "| other clients", " /idQuery ", " connect KPs |", " AliceID, KPs "] {
            assert!(drawn.contains(label), "{label}\n{drawn}");
        }
        assert!(drawn.contains("+--------------->|") && drawn.contains("|<---------------+"), "{drawn}");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_label_is_broken_at_spaces() {
        assert_eq!(wrap("Add Alice's other clients", 13), ["Add Alice's", "other clients"]);
        assert_eq!(wrap("", 13), [""; 0]);
        assert_eq!(wrap("abcdef", 3), ["abc"]);
    }
}
