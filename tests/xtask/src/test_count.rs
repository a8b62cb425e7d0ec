//! How many tests other programs have run, read from what they print.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many tests ran, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestCount {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed, timed out or could not be run.
    pub(crate) failed: u64,
    /// Tests that were left out.
    pub(crate) skipped: u64,
}

/// A count, for tests.
#[cfg(test)]
pub(crate) fn count(passed: u64, failed: u64, skipped: u64) -> TestCount {
    TestCount {
        passed,
        failed,
        skipped,
    }
}

impl AddAssign for TestCount {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs cargo-nextest, showing what it prints, and counts its tests by its summary.
pub(crate) fn count_nextest(command: &mut Command) -> Result<TestCount> {
    if std::io::stderr().is_terminal() {
        command.args(["--color", "always"]);
    }
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo-nextest")?;
    let printed = child.stderr.take().expect("standard error is a pipe");
    let count = copy_and_find(printed, std::io::stderr(), nextest_summary)?;
    let status = child.wait()?;
    match count.last() {
        Some(count) if status.success() || count.failed > 0 => Ok(*count),
        Some(_) | None => bail!("cargo-nextest ended with {status}"),
    }
}

/// Runs `cargo test --doc`, showing what it prints, and counts its tests by each crate's summary.
pub(crate) fn count_doctests(command: &mut Command) -> Result<TestCount> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;
    let printed = child.stdout.take().expect("standard output is a pipe");
    let mut total = TestCount::default();
    for count in copy_and_find(printed, std::io::stdout(), libtest_summary)? {
        total += count;
    }
    let status = child.wait()?;
    if !status.success() && total.failed == 0 {
        bail!("cargo test --doc ended with {status}");
    }
    Ok(total)
}

/// Runs `node --test` with its TAP reporter, showing what it prints, and counts its tests by its
/// summary.
pub(crate) fn count_node_tests(command: &mut Command) -> Result<TestCount> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start node")?;
    let printed = child.stdout.take().expect("standard output is a pipe");
    let mut total = TestCount::default();
    let mut summaries = 0;
    for count in copy_and_find(printed, std::io::stdout(), node_summary)? {
        total += count;
        summaries += 1;
    }
    let status = child.wait()?;
    if summaries == 0 || (!status.success() && total.failed == 0) {
        bail!("node --test ended with {status}");
    }
    Ok(total)
}

/// Copies line by line and collects what `find` finds in the lines.
fn copy_and_find<T>(
    from: impl std::io::Read,
    mut to: impl Write,
    find: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    let mut line = Vec::new();
    let mut reader = BufReader::new(from);
    while reader.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        found.extend(find(&without_colours(&String::from_utf8_lossy(&line))));
        line.clear();
    }
    Ok(found)
}

/// The text without its ANSI colour sequences (`ESC [ ... m`).
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split('\u{1b}');
    plain.extend(parts.next());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

/// Reads `Summary [ 0.1s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped`.
fn nextest_summary(line: &str) -> Option<TestCount> {
    let (_, rest) = line
        .trim_start()
        .strip_prefix("Summary [")?
        .split_once(']')?;
    let (run, results) = rest.split_once(" run: ")?;
    let mut count = counts_of(results, ", ");
    // "3/7 tests": the run was cut short; what never ran has not passed.
    if let Some((done, all)) = run.trim().split_once(' ')?.0.split_once('/') {
        count.failed += all.parse::<u64>().ok()?.checked_sub(done.parse().ok()?)?;
    }
    Some(count)
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; ...`.
fn libtest_summary(line: &str) -> Option<TestCount> {
    let (_, results) = line.strip_prefix("test result: ")?.split_once(". ")?;
    Some(counts_of(results, "; "))
}

/// Reads a line of the summary of `node --test`: `# pass 3`, `# fail 0`, `# cancelled 0`, and so on.
fn node_summary(line: &str) -> Option<TestCount> {
    let (kind, number) = line.trim().strip_prefix("# ")?.split_once(' ')?;
    let number = number.parse().ok()?;
    let mut count = TestCount::default();
    match kind {
        "pass" => count.passed = number,
        "fail" | "cancelled" => count.failed = number,
        "skipped" | "todo" => count.skipped = number,
        _ => return None,
    }
    Some(count)
}

fn counts_of(results: &str, separator: &str) -> TestCount {
    let mut count = TestCount::default();
    for result in results.split(separator) {
        let Some((number, kind)) = result.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match kind.split(" (").next().unwrap_or(kind) {
            "passed" => count.passed += number,
            "failed" | "timed out" | "exec failed" => count.failed += number,
            "skipped" | "ignored" => count.skipped += number,
            // "1 leaky", "2 slow" and the like qualify tests that are counted already.
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{
        TestCount, count, libtest_summary, nextest_summary, node_summary, without_colours,
    };

    #[test]
    fn the_summary_of_nextest_is_counted() {
        for (line, expected) in [
            (
                "     Summary [   0.004s] 10 tests run: 10 passed, 0 skipped",
                count(10, 0, 0),
            ),
            (
                "     Summary [   1.2s] 1 test run: 1 passed, 2 skipped",
                count(1, 0, 2),
            ),
            (
                "     Summary [  9.8s] 9 tests run: 5 passed (2 slow, 1 leaky), 2 failed, \
                 1 timed out, 1 exec failed, 0 skipped",
                count(5, 4, 0),
            ),
        ] {
            assert_eq!(nextest_summary(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn tests_that_never_ran_count_as_failed() {
        let line = "     Summary [   0.1s] 3/7 tests run: 2 passed, 1 failed, 0 skipped";
        assert_eq!(nextest_summary(line), Some(count(2, 5, 0)));
    }

    #[test]
    fn other_lines_are_no_summary() {
        for line in [
            "",
            "    PASS [ 0.1s] crate Summary [x] run: 1 passed",
            "Summary [1s] nothing",
        ] {
            assert_eq!(nextest_summary(line), None, "{line}");
        }
    }

    #[test]
    fn the_summary_of_doctests_is_counted() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out";
        assert_eq!(libtest_summary(line), Some(count(3, 1, 2)));
    }

    #[test]
    fn the_summary_of_node_is_counted() {
        let lines = "1..5\n# tests 6\n# suites 0\n# pass 2\n# fail 1\n# cancelled 1\n\
                     # skipped 2\n# todo 0\n# duration_ms 12.5";
        let mut total = TestCount::default();
        for count in lines.lines().filter_map(node_summary) {
            total += count;
        }
        assert_eq!(total, count(2, 2, 2));
        assert_eq!(node_summary("# Subtest: pass 7"), None);
        assert_eq!(node_summary("ok 1 - pass 7"), None);
    }

    #[test]
    fn colours_are_taken_out_before_reading() {
        assert_eq!(
            without_colours("\u{1b}[32;1mSummary\u{1b}[0m [1s]"),
            "Summary [1s]"
        );
    }
}
