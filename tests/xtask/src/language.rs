//! Which language the person at this terminal reads.

/// A language that every text is written in.
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
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty())
            .map_or(Self::English, |locale| Self::of_locale(&locale))
    }

    fn of_locale(locale: &str) -> Self {
        if locale.starts_with("zh") {
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

impl From<Language> for api::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::English => Self::English,
            Language::Chinese => Self::Chinese,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Language;

    #[test]
    fn a_chinese_locale_is_read_in_any_spelling() {
        for locale in ["zh", "zh_CN", "zh_CN.UTF-8", "zh_TW.Big5"] {
            assert_eq!(Language::of_locale(locale), Language::Chinese, "{locale}");
        }
    }

    #[test]
    fn any_other_locale_reads_english() {
        for locale in ["C", "POSIX", "C.UTF-8", "en_GB.UTF-8", "fr_FR"] {
            assert_eq!(Language::of_locale(locale), Language::English, "{locale}");
        }
    }
}
