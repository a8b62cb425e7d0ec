//! The page of browser guests, as the build put it into the binary.
//!
//! Its sources are `web/guest`; `build.rs` takes their types away. Nothing of it is for one guest or
//! one room: what differs, the page asks for (`/guest/session`).

/// One file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Where it is served: `/join`, or a path that begins with `/guest/assets/`.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// What is served.
    pub bytes: &'static [u8],
    /// The value of `ETag`, with its quotation marks: other bytes have another one (RFC 9110, section
    /// 8.8.3).
    pub etag: &'static str,
}

/// All files of the page.
pub static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/guest_assets.rs"));

/// The file that is served at `path`.
#[must_use]
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ASSETS, asset};

    fn text_of(path: &str) -> &'static str {
        let asset = asset(path).expect("the page has this file");
        std::str::from_utf8(asset.bytes).expect("the page's files are text")
    }

    /// What stands between `before` and the next quotation mark, wherever `before` stands.
    fn quoted_after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
        let rests = text.split(before).skip(1);
        rests.filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn paths_and_entity_tags_are_unique() {
        let paths: BTreeSet<_> = ASSETS.iter().map(|asset| asset.path).collect();
        let etags: BTreeSet<_> = ASSETS.iter().map(|asset| asset.etag).collect();
        assert_eq!(paths.len(), ASSETS.len());
        assert_eq!(etags.len(), ASSETS.len());
    }

    #[test]
    fn the_page_names_only_files_that_there_are() {
        let page = text_of("/join");
        let named: Vec<_> = ["href=\"", "src=\""]
            .iter()
            .flat_map(|attribute| quoted_after(page, attribute))
            .filter_map(|reference| reference.split('#').next())
            .filter(|path| !path.is_empty())
            .collect();
        assert!(named.len() > 3, "{named:?}");
        for path in named {
            assert!(asset(path).is_some(), "{path}");
        }
    }

    #[test]
    fn every_import_leads_to_a_module() {
        for module in ASSETS.iter().filter(|asset| asset.path.ends_with(".js")) {
            let folder = module.path.rsplit_once('/').expect("paths are absolute").0;
            for import in quoted_after(text_of(module.path), "from\"") {
                let path = match import.strip_prefix("../") {
                    Some(rest) => format!("/guest/assets/{rest}"),
                    None => format!("{folder}/{}", import.trim_start_matches("./")),
                };
                assert!(asset(&path).is_some(), "{} imports {path}", module.path);
            }
        }
    }

    #[test]
    fn no_script_and_no_style_is_inline() {
        let page = text_of("/join");
        assert!(!page.contains("<style") && !page.contains(" style="));
        let scripts: Vec<&str> = page.split("<script").skip(1).collect();
        assert_eq!(scripts.len(), 2);
        for script in scripts {
            let (attributes, text) = script.split_once('>').unwrap();
            assert!(attributes.contains(" src=\"/guest/assets/"), "{attributes}");
            assert!(text.starts_with("</script>"), "{text}");
        }
        for handler in ["onclick", "onload", "onsubmit", "javascript:"] {
            assert!(!page.contains(handler), "{handler}");
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for asset in ASSETS {
            // The name of SVG's namespace is an address that nobody asks for.
            let text = text_of(asset.path).replace("http://www.w3.org/", "");
            for before in ['"', '\'', '`', '('] {
                for scheme in ["http://", "https://", "//"] {
                    let reference = format!("{before}{scheme}");
                    assert!(!text.contains(&reference), "{}: {reference}", asset.path);
                }
            }
        }
    }
}
