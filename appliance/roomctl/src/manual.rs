//! The manual pages, in English: `man` finds translations by directory, and there is none yet.

use std::fs;
use std::io;
use std::path::Path;

use api::Language;
use clap_mangen::Man;

use crate::command_line::command;
use crate::error::Error;

/// What clap does not know of the main page.
const MORE_SECTIONS: &str = r#".SH "EXIT STATUS"
.TP
\fB0\fR
Done, or already so.
.TP
\fB1\fR
Denied by the room, refused by roomd, or a problem was found.
.TP
\fB2\fR
Wrong usage, or a leg must be named.
.TP
\fB3\fR
roomd cannot be reached.
.TP
\fB4\fR
The answer cannot be understood or written.
.SH ENVIRONMENT
.TP
\fBROOMD_SOCKET\fR
The socket of roomd, where \fB\-\-socket\fR is not given.
.TP
\fBLC_ALL\fR, \fBLC_MESSAGES\fR, \fBLANG\fR
The language of the output: Chinese where the locale begins with \fIzh\fR, else English.
.TP
\fBNO_COLOR\fR
No colours, also on a terminal.
"#;

/// Writes `roomctl.1` and a page for each command into an existing directory.
///
/// # Errors
/// [`Error::Write`] when a page cannot be written.
pub fn write_manual(directory: &Path) -> Result<(), Error> {
    let command = command(Language::English);
    let main_page = directory.join("roomctl.1");
    let write = || -> io::Result<()> {
        clap_mangen::generate_to(command.clone(), directory)?;
        fs::write(&main_page, render_main_page(command.clone())?)
    };
    write().map_err(|source| Error::Write {
        file: main_page.clone(),
        source,
    })
}

fn render_main_page(command: clap::Command) -> io::Result<Vec<u8>> {
    let page = Man::new(command.after_help(None::<&str>));
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    page.render_subcommands_section(&mut text)?;
    text.extend_from_slice(MORE_SECTIONS.as_bytes());
    page.render_version_section(&mut text)?;
    Ok(text)
}
