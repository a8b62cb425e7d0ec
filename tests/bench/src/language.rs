//! Which language the person at this terminal reads. Notes of the report are in English alone.

/// A language of the table and of progress lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// English, also where the environment names a language that we do not speak.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language that `LC_ALL`, `LC_MESSAGES` or `LANG` names, in that order.
    pub(crate) fn of_environment() -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|locale| !locale.is_empty());
        if locale.is_some_and(|locale| locale.starts_with("zh")) {
            Self::Chinese
        } else {
            Self::English
        }
    }

    /// The text in this language.
    pub(crate) fn choose<'a>(self, english: &'a str, chinese: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}
