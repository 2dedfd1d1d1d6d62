//! How far the demo is: bars on a terminal, plain lines anywhere else. All of it goes to standard error.

use std::io::{IsTerminal, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Where progress is shown.
#[derive(Debug, Clone)]
pub struct Stage(Option<MultiProgress>);

/// One bar, or the line that is printed when it is full.
#[derive(Debug, Clone)]
pub struct Bar {
    bar: Option<ProgressBar>,
    name: String,
}

/// A plain line. Whoever reads may have gone.
fn line_out(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}

impl Stage {
    /// On standard error.
    pub fn on_stderr() -> Self {
        Self(std::io::stderr().is_terminal().then(MultiProgress::new))
    }

    /// A line for people.
    pub fn say(&self, line: &str) {
        match &self.0 {
            Some(bars) => bars.println(line).unwrap_or_default(),
            None => line_out(line),
        }
    }

    /// A bar of this length.
    pub fn bar(&self, name: &str, length: u64) -> Bar {
        let bar = self.0.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(length));
            // A template that cannot be read leaves the bar as the library draws it.
            if let Ok(style) = ProgressStyle::with_template("  {prefix:<12} {bar:30} {pos:>4}/{len} {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar
        });
        Bar { bar, name: name.to_owned() }
    }
}

impl Bar {
    /// One step.
    pub fn step(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// What is going on.
    pub fn message(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// It is done.
    pub fn done(&self, text: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(bar.length().unwrap_or(0));
                bar.finish_with_message(text.to_owned());
            }
            None => line_out(&format!("  {:<12} {text}", self.name)),
        }
    }
}
