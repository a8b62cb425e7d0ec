//! Builds the guests' page: TypeScript in `web/guest` becomes JavaScript without types, and all of
//! the page a list in the binary (`roomd::guest_page`).
//!
//! Cargo alone builds it. Node checks the types and runs the page's tests (`cargo xtask test --lane
//! web`), which a build needs not.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use oxc_allocator::Allocator;
use oxc_codegen::{Codegen, CodegenOptions};
use oxc_parser::Parser;
use oxc_semantic::SemanticBuilder;
use oxc_span::SourceType;
use oxc_transformer::{TransformOptions, Transformer, TypeScriptOptions};
use sha2::{Digest, Sha256};

/// Where the page's files are served, but for the page itself.
const ASSETS: &str = "/guest/assets/";
/// The page: its file and where it is served.
const PAGE: (&str, &str) = ("join.html", "/join");
/// The line of the page that is replaced by links to all modules, so that a browser asks for them at
/// once and not import by import.
const PRELOADS: &str = "<!-- modules -->";

/// One file of the page, as it is served.
struct Asset {
    path: String,
    content_type: &'static str,
    bytes: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let folder = manifest.join("web/guest");

    let mut assets = Vec::new();
    for part in ["", "view"] {
        let part_folder = folder.join(part);
        println!("cargo::rerun-if-changed={}", part_folder.display());
        for file in files_of(&part_folder)? {
            println!("cargo::rerun-if-changed={}", file.display());
            assets.extend(asset_of(&folder, &file)?);
        }
    }
    link_modules(&mut assets)?;
    write_list(&out, &assets)
}

/// The files of one folder, without those of its subfolders, in the order of their names.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is served of a file; nothing of one that only its development needs.
fn asset_of(folder: &Path, file: &Path) -> Result<Option<Asset>, Box<dyn Error>> {
    let name = file
        .strip_prefix(folder)?
        .to_str()
        .ok_or("a file's name is no UTF-8")?;
    let (path, content_type) = match name.rsplit_once('.') {
        Some((_, "html")) if name == PAGE.0 => (PAGE.1.to_owned(), "text/html; charset=utf-8"),
        Some((stem, "ts")) => (
            format!("{ASSETS}{stem}.js"),
            "text/javascript; charset=utf-8",
        ),
        Some((_, "css")) => (format!("{ASSETS}{name}"), "text/css; charset=utf-8"),
        Some((_, "svg")) => (format!("{ASSETS}{name}"), "image/svg+xml"),
        Some(_) | None => return Ok(None),
    };
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let bytes = if path.ends_with(".js") {
        javascript_of(file, &text)?.into_bytes()
    } else {
        text.into_bytes()
    };
    Ok(Some(Asset {
        path,
        content_type,
        bytes,
    }))
}

/// The module without its types and comments. What it does stays as it is written: the page's
/// browsers know all of the language that it uses.
fn javascript_of(file: &Path, text: &str) -> Result<String, Box<dyn Error>> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, SourceType::ts()).parse();
    let mut faults = parsed.diagnostics;
    let mut program = parsed.program;
    if faults.is_empty() {
        let semantic = SemanticBuilder::new().build(&program);
        faults.extend(semantic.diagnostics);
        let options = TransformOptions {
            typescript: TypeScriptOptions {
                only_remove_type_imports: true,
                ..TypeScriptOptions::default()
            },
            ..TransformOptions::default()
        };
        let transformed = Transformer::new(&allocator, file, &options)
            .build_with_scoping(semantic.semantic.into_scoping(), &mut program);
        faults.extend(transformed.diagnostics);
    }
    if let Some(fault) = faults.into_iter().next() {
        let fault = fault.with_source_code(text.to_owned());
        return Err(format!("{}: {fault:?}", file.display()).into());
    }
    Ok(Codegen::new()
        .with_options(CodegenOptions::minify())
        .build(&program)
        .code)
}

/// Puts links to all modules into the page.
fn link_modules(assets: &mut [Asset]) -> Result<(), Box<dyn Error>> {
    let mut links = String::new();
    for asset in assets.iter().filter(|asset| asset.path.ends_with(".js")) {
        writeln!(
            links,
            "<link rel=\"modulepreload\" href=\"{}\">",
            asset.path
        )?;
    }
    let page = assets
        .iter_mut()
        .find(|asset| asset.path == PAGE.1)
        .ok_or("there is no page")?;
    let text = std::str::from_utf8(&page.bytes)?;
    if !text.contains(PRELOADS) {
        return Err(format!("the page has no line {PRELOADS}").into());
    }
    page.bytes = text.replace(PRELOADS, links.trim_end()).into_bytes();
    Ok(())
}

/// Writes the files and the list that names them.
fn write_list(out: &Path, assets: &[Asset]) -> Result<(), Box<dyn Error>> {
    let mut list = String::from("&[\n");
    for (number, asset) in assets.iter().enumerate() {
        let file = out.join(format!("guest_asset_{number}"));
        fs::write(&file, &asset.bytes)?;
        let mut etag = String::new();
        for byte in &Sha256::digest(&asset.bytes)[..12] {
            write!(etag, "{byte:02x}")?;
        }
        writeln!(
            list,
            "    Asset {{ path: {:?}, content_type: {:?}, bytes: include_bytes!({:?}), \
             etag: {:?} }},",
            asset.path,
            asset.content_type,
            file,
            format!("\"{etag}\""),
        )?;
    }
    list.push_str("]\n");
    fs::write(out.join("guest_assets.rs"), list)?;
    Ok(())
}
